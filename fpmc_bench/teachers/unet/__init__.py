"""SongUNet (DDPM++ and NCSN++) with EDM's preconditioning."""
