"""What travels between the nodes: the SDC socket, and LATENT to and from it."""

CATEGORY = "model/latent/SDC"
ADVANCED = f"{CATEGORY}/advanced"
