"""Records altered in every way that came to mind, and who notices."""
