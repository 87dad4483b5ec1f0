"""What is done to an IMAGE: its edges, and trimming it to its latent."""
