"""From noise back to an image, guided by Canny edges."""
