"""How the engine works on this machine, never what it computes: arithmetic, sizes, memory."""
