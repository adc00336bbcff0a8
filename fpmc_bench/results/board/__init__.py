"""Leaderboards: run directories that are published, checked, and joined by others. No torch."""
