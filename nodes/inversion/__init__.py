"""From an image to noise: Eq. (1) of the paper, the implicit step that undoes `euler`, and an exact pair."""
