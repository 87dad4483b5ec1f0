"""The size of an IMAGE compared with its latent; OpenCV and what stands in for it."""
