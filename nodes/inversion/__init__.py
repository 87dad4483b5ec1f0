"""From an image to noise and back: Eq. (1) of the paper, the implicit step that undoes `euler`, an exact pair."""
