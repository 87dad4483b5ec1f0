"""The order in which the places of a latent are coded: a coarse grid, then finer ones between what is known.

Frames come in such an order too: the first, then those halfway between known ones, or after the last of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

LEVELS = 4  # the coarse grid has every 16th row and column
MAX_ELEMENTS = 1 << 17  # of all channels in a block: what is made of them stays in the processor's cache
# Offsets of four known neighbors, in half steps: of a place between four, and of those between two in a row or column.
# The two of a pair lie opposite to each other.
DIAGONAL = ((-1, -1), (1, 1), (-1, 1), (1, -1))
IN_ROW = ((0, -1), (0, 1), (-1, 0), (1, 0))
IN_COLUMN = ((-1, 0), (1, 0), (0, -1), (0, 1))
COARSE, BETWEEN_FOUR, BETWEEN_TWO = 0, 1, 2


@dataclass(frozen=True)
class Span:
    """Places along an axis: `count` of them from `start`, `step` apart."""

    start: int
    count: int
    step: int

    @property
    def places(self) -> slice:
        return slice(self.start, self.start + (self.count - 1) * self.step + 1, self.step)

    def part(self, first: int, count: int, every: int = 1) -> "Span":
        """Return some of them: of `count` from `first`, one in `every`."""
        count = min(count, self.count - first)
        return Span(self.start + first * self.step, -(-count // every), self.step * every)

    def moved(self, offset: int, size: int) -> list[tuple[slice, slice]]:
        """Return which places of an axis lie `offset` away, or opposite where that is outside.

        Returns
        -------
        list of (slice, slice)
            Parts of the span, and where on the axis their neighbors are.
        """
        first = self.start + offset
        last = first + (self.count - 1) * self.step
        begin, end = int(first < 0), self.count - int(last >= size)
        parts = []
        if begin:
            parts.append((slice(0, 1), slice(self.start - offset, self.start - offset + 1)))
        if begin < end:
            parts.append((slice(begin, end), Span(first + begin * self.step, end - begin, self.step).places))
        if begin <= end < self.count:
            mirrored = last - 2 * offset
            parts.append((slice(end, end + 1), slice(mirrored, mirrored + 1)))
        return parts


@dataclass(frozen=True)
class Block:
    """Some places of a grid in some frames, coded together: for each channel n numbers, frame by frame, row by row.

    Attributes
    ----------
    kind : int
        COARSE for the first grid, which has no neighbors; BETWEEN_FOUR or BETWEEN_TWO.
    frames, rows, columns : Span
    offsets : sequence of four (int, int)
        Where its neighbors are, in rows and columns.
    references : (slice, slice), optional
        For each frame one before and one after it that are known; twice the one before where there is none after.
    """

    kind: int
    frames: Span
    rows: Span
    columns: Span
    offsets: Sequence[tuple[int, int]] = ()
    references: tuple[slice, slice] | None = None

    @property
    def size(self) -> int:
        return self.frames.count * self.rows.count * self.columns.count

    def take(self, values: np.ndarray) -> np.ndarray:
        """Return what (C, T, H, W) values hold at the places, (C, n)."""
        found = values[:, self.frames.places, self.rows.places, self.columns.places]
        return found.reshape(len(values), -1)

    def take_neighbors(self, values: np.ndarray) -> list[np.ndarray]:
        """Return what (C, T, H, W) values hold at the four neighbors, (C, n) each."""
        within = values[:, self.frames.places]
        found = []
        for down, right in self.offsets:
            target = np.empty((*within.shape[:2], self.rows.count, self.columns.count), values.dtype)
            for to_rows, rows in self.rows.moved(down, values.shape[2]):
                for to_columns, columns in self.columns.moved(right, values.shape[3]):
                    target[:, :, to_rows, to_columns] = within[:, :, rows, columns]
            found.append(target.reshape(len(values), -1))
        return found

    def of_references(self) -> tuple["Block", "Block"]:
        """Return the same places in the frames before and after."""
        assert self.references
        before, after = (Span(part.start, self.frames.count, part.step or 1) for part in self.references)
        return replace(self, frames=before), replace(self, frames=after)

    def put(self, values: np.ndarray, found: np.ndarray) -> None:
        """Write (C, n) numbers into the places of (C, T, H, W) values."""
        part = values[:, self.frames.places, self.rows.places, self.columns.places]
        part[...] = found.reshape(part.shape)

    def sample(self, every: int) -> "Block":
        """Return one row in `every`."""
        return replace(self, rows=self.rows.part(0, self.rows.count, every))


def blocks(channels: int, frames: int, height: int, width: int) -> Iterator[Block]:
    """Give the blocks of a latent in the order in which they are coded; every place is in exactly one."""
    together = max(1, 4 * MAX_ELEMENTS // (channels * height * width))
    for span, references in _frames(frames, together):
        for grid in _grids(height, width):
            rows = max(1, MAX_ELEMENTS // (channels * span.count * grid.columns.count))
            for top in range(0, grid.rows.count, rows):
                yield replace(grid, frames=span, rows=grid.rows.part(top, rows), references=references)


def _frames(frames: int, together: int) -> Iterator[tuple[Span, tuple[slice, slice] | None]]:
    """Give frames that are coded together, and those that they are predicted from."""
    yield Span(0, 1, 1), None
    half = 1 << max(0, (frames - 1).bit_length() - 1)
    while half >= 1 and frames > 1:
        between = Span(half, (frames - 1 + half) // (2 * half), 2 * half)
        last = between.start + (between.count - 1) * between.step
        whole = between.count - (last + half >= frames)
        for first in range(0, whole, together):
            part = between.part(first, min(together, whole - first))
            at, end = part.places.start, part.places.stop
            yield part, (slice(at - half, end - half, part.step), slice(at + half, end + half, part.step))
        if whole < between.count:
            before = slice(last - half, last - half + 1, 1)
            yield Span(last, 1, 1), (before, before)
        half //= 2


def _grids(height: int, width: int) -> Iterator[Block]:
    """Give the grids of a frame, from coarse to fine."""
    none = Span(0, 1, 1)
    step = 1 << LEVELS
    yield Block(COARSE, none, _along(0, step, height), _along(0, step, width))
    while step > 1:
        half = step // 2
        # Where the latent is no wider than half a step, the other two neighbors would be outside.
        in_row = IN_ROW if height > half else IN_ROW[:2] * 2
        in_column = IN_COLUMN if width > half else IN_COLUMN[:2] * 2
        for kind, top, left, offsets in (
            (BETWEEN_FOUR, half, half, DIAGONAL),
            (BETWEEN_TWO, 0, half, in_row),
            (BETWEEN_TWO, half, 0, in_column),
        ):
            if top < height and left < width:
                away = [(down * half, right * half) for down, right in offsets]
                yield Block(kind, none, _along(top, step, height), _along(left, step, width), away)
        step = half


def _along(start: int, step: int, size: int) -> Span:
    return Span(start, -(-(size - start) // step), step)
