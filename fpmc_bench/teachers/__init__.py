"""Networks to measure against: their architecture, files, training, quality and sensitivity."""
