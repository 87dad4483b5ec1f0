"""The SDC socket, and the lines that nodes show about the images on it."""
