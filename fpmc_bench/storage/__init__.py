"""Bytes on disk: atomic writes, folders and locks, tensor files, keys, the cache, read pickles."""
