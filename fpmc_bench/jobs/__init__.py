"""One file a verb: what a command does, as a Python function."""
