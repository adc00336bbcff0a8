"""What `fuzz.py` is made of: sound files, damage to them, and what becomes of reading them."""
