"""The LATENT and VAE sockets: which latent format it is, which VAE made it, and to and from arrays."""
