"""Faults made on real runs, a kind a file, and what came of them."""
