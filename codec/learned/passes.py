"""Which coefficients are coded when. The same for encoder, decoder and training."""

import numpy as np

NUM_GROUPS = 4  # groups of the coefficients of a place; how many each holds is in the weights
# (group, phase) coded side by side in each pass.
PASSES = (
    ((0, "corner"),), ((0, "rest"),), ((0, "odd"),), ((0, "cross"), (1, "even")),
    ((1, "cross"), (2, "even")), ((2, "cross"), (3, "even")), ((3, "cross"),),
)  # fmt: skip


def starts(groups: tuple[int, ...]) -> tuple[int, ...]:
    """Where each group begins among the coefficients of a place, and where the last one ends."""
    return tuple(sum(groups[:number]) for number in range(len(groups) + 1))


def phases(height: int, width: int) -> dict[str, np.ndarray]:
    """Name -> (height, width) bool: the places of each phase of the grid."""
    i, j = np.ogrid[:height, :width]
    corner = (i % 4 == 0) & (j % 4 == 0)
    first = (i % 2 == 0) & (j % 2 == 0)
    odd = (i % 2 == 1) & (j % 2 == 1)
    return {"corner": corner, "rest": first & ~corner, "odd": odd, "even": first | odd, "cross": (i + j) % 2 == 1}
