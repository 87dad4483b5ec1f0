"""The coefficients of an image while it is coded, in as little memory as the latent takes that is made of them."""

import numpy as np

TILE_BYTES = 64  # of a channel of the latent, in a tile: 4 x 4 values of 4 bytes


class Coefficients:
    """What is known of each place, integers up to 2**15 in magnitude, and what waits to be read.

    A place takes two bytes a coefficient, one a channel for values of 2**15 itself, which 16 bits do not hold, and one
    for each table that waits. Whatever was not put is anything.

    Parameters
    ----------
    total, waiting : int
        How many coefficients a place has, and for how many of them at most a table waits.
    latent : (channels, 4 * rows, 4 * columns) float32 array
        A row of tiles after the other is kept in the bytes that the latent has for the same rows, if that is enough.
    """

    def __init__(self, total: int, waiting: int, latent: np.ndarray):
        self.channels = len(latent)
        rows, columns = (side // 4 for side in latent.shape[1:])
        deep, tables = -(-total // self.channels), -(-waiting // self.channels)
        bits = -(-deep // 8)
        size = 2 * deep + tables + bits  # bytes of a channel of a place
        if 4 * size <= TILE_BYTES:
            memory = latent.reshape(self.channels, rows, -1).view(np.uint8)
        else:
            memory = np.empty((self.channels, rows, 4 * size * columns), np.uint8)
        self._depth, self._channel = np.divmod(np.arange(max(total, waiting)), self.channels)
        shape = self.channels, rows, -1, 4, columns
        values, self._tables, self._beyond = (
            memory[:, :, 4 * columns * start : 4 * columns * end]
            for start, end in ((0, 2 * deep), (2 * deep, 2 * deep + tables), (2 * deep + tables, size))
        )
        self._values = values.view(np.int16).reshape(shape)
        self._tables, self._beyond = self._tables.reshape(shape), self._beyond.reshape(shape)
        self._has_beyond = False

    def get(self, numbers: slice, rows: slice, places: slice = slice(None)) -> np.ndarray:
        """(n, rows, places, columns) int32 of coefficients, or with fewer bits where they fit."""
        depth, channel = self._depth[numbers], self._channel[numbers]
        values = self._values[channel, rows, depth, places]
        if self._has_beyond:
            bits = self._beyond[channel, rows, depth // 8, places] >> (depth % 8).astype(np.uint8)[:, None, None, None]
            values = values + (bits & 1).astype(np.int32)
        return values

    def put(self, numbers: slice, rows: slice, places: slice, values: np.ndarray) -> None:
        """Keep (n, rows, places, columns) integers."""
        depth, channel = self._depth[numbers], self._channel[numbers]
        beyond = values == 1 << 15
        if beyond.any() and not self._has_beyond:
            self._beyond[:] = 0
            self._has_beyond = True
        self._values[channel, rows, depth, places] = values - beyond if self._has_beyond else values
        if self._has_beyond:
            for here, each, byte, bit in zip(beyond, channel, depth // 8, depth % 8, strict=True):
                bits = self._beyond[each, rows, byte, places]
                bits &= ~np.uint8(1 << bit)
                bits |= here.astype(np.uint8) << np.uint8(bit)

    def get_tables(self, count: int, rows: slice, places: slice) -> np.ndarray:
        """(count, rows, places, columns) uint8 that wait."""
        return self._tables[self._channel[:count], rows, self._depth[:count], places]

    def put_tables(self, rows: slice, places: slice, tables: np.ndarray) -> None:
        self._tables[self._channel[: len(tables)], rows, self._depth[: len(tables)], places] = tables
