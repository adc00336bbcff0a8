"""Weights on disk: our own teacher files, and EDM's published pickles read as data."""
