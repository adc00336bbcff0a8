"""Teacher networks: Song et al.'s U-Nets with EDM's preconditioning, and training them."""
