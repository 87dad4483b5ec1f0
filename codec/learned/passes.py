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


# Places of a tile of 2 x 2, row by row, that a phase is at.
TILE_PLACES = {
    "corner": slice(0, 1), "rest": slice(0, 1), "odd": slice(3, 4), "even": slice(0, 4, 3), "cross": slice(1, 3),
}  # fmt: skip


def places_of(number: int) -> list[int]:
    """Which places of a tile a pass codes something at."""
    return sorted({place for _, phase in PASSES[number] for place in range(4)[TILE_PLACES[phase]]})


def known_before(number: int) -> list[int]:
    """How many of the groups, from the first on, are known at each place of a tile before a pass, at least in part."""
    known = [0] * 4
    for group, phase in (part for parts in PASSES[:number] for part in parts):
        for place in range(4)[TILE_PLACES[phase]]:
            known[place] = max(known[place], group + 1)
    return known


def phases(height: int, width: int) -> dict[str, np.ndarray]:
    """Name -> (height, width) bool: the places of each phase of the grid."""
    i, j = np.ogrid[:height, :width]
    corner = (i % 4 == 0) & (j % 4 == 0)
    first = (i % 2 == 0) & (j % 2 == 0)
    odd = (i % 2 == 1) & (j % 2 == 1)
    return {"corner": corner, "rest": first & ~corner, "odd": odd, "even": first | odd, "cross": (i + j) % 2 == 1}
