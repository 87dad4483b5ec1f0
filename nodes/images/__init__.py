"""The size of an IMAGE compared with its latent; and OpenCV."""
