"""How far work is, said on stderr: bars on a terminal, elsewhere lines of text or of JSON."""
