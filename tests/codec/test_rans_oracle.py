"""The entropy coder beside `constriction`'s: the same symbols by the same tables, in as many bytes.

The two cannot write the same bits: that coder has a state of 64 bits, words of 32 and tables of 24, ours 32, 16 and 16.
Frequencies of 16 bits are exact in 24, so both have the very same distributions.
"""

import numpy as np
import pytest
from sdc_codec import learned
from sdc_codec.learned import encoder, rans
from sdc_codec.learned.weights import load_weights

constriction = pytest.importorskip("constriction", reason="it has no wheels for Linux on ARM")

FINER = 24 - rans.BITS
WEIGHTS = load_weights(next(iter(learned.NEWEST.values())))
TABLES = WEIGHTS.tables


def ideal_bits(number: int, value: int) -> float:
    """Of one integer, an escape's raw bits too."""
    share, reach = frequencies(number), TABLES.reach[number]
    if abs(value) <= reach:
        return rans.BITS - float(np.log2(share[value + reach]))
    raw = rans.ESCAPE_BITS + (abs(value) - reach).bit_length() - 1 + 1
    return rans.BITS - float(np.log2(share[-1])) + raw


def frequencies(number: int) -> np.ndarray:
    return np.diff(TABLES.cumulative[number])


class Oracle:
    """A writer by constriction. What is put first is read first, so all of it is coded backwards in the end."""

    def __init__(self):
        Categorical = constriction.stream.model.Categorical
        self.models = [
            Categorical(frequencies(number) / (1 << rans.BITS), perfect=True) for number in range(len(TABLES.reach))
        ]
        self.parts: list[tuple] = []

    def put(self, number: int, value: int):
        reach = TABLES.reach[number]
        if abs(value) <= reach:
            self.parts.append((value + reach, self.models[number]))
            return
        beyond = abs(value) - reach
        count = beyond.bit_length() - 1
        self.parts.append((2 * reach + 1, self.models[number]))
        self.raw(count, rans.ESCAPE_BITS)
        self.raw(beyond - (1 << count), count)
        self.raw(int(value < 0), 1)

    def raw(self, value: int, bits: int):
        if bits:
            self.parts.append((value, constriction.stream.model.Uniform(1 << bits)))

    def coder(self):
        made = constriction.stream.stack.AnsCoder()
        for symbol, model in reversed(self.parts):
            made.encode_reverse(symbol, model)
        return made


def both(numbers, values) -> tuple[bytes, Oracle]:
    writer, oracle = rans.Writer(TABLES), Oracle()
    writer.put(numbers, values)
    for number, value in zip(numbers, values, strict=True):
        oracle.put(number, value)
    return writer.bytes(), oracle


def drawn(seed: int, count: int) -> tuple[list[int], list[int]]:
    """Numbers of tables, each as often, and integers drawn from their distributions; one in 50 is an escape."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(TABLES.reach), count).tolist()
    values = []
    for place, number in enumerate(numbers):
        share = frequencies(number)
        reach = TABLES.reach[number]
        symbol = int(rng.choice(len(share), p=share / share.sum()))
        far = (reach + int(2 ** rng.uniform(0, 15.9))) * int(rng.choice([-1, 1]))
        values.append(symbol - reach if symbol <= 2 * reach and place % 50 else far)
    return numbers, values


@pytest.mark.parametrize("number", range(len(TABLES.reach)))
def test_every_place_of_a_table_stands_for_what_constriction_has_there(number):
    """At both ends of every interval: what either coder reads out of a state that begins with that place."""
    model, reach = Oracle().models[number], TABLES.reach[number]
    edges = np.array(TABLES.cumulative[number])
    for slot in np.unique(np.concatenate([edges[:-1], edges[1:] - 1])).tolist():
        state = np.array([slot << FINER, 1], np.uint32)
        symbol = constriction.stream.stack.AnsCoder(state).decode(model)
        (value,) = rans.Reader(TABLES, np.array([1, slot, *([0] * 8)], "<u2").tobytes()).take([number])
        assert (value + reach if abs(value) <= reach else 2 * reach + 1) == symbol


@pytest.mark.parametrize("seed", range(2))
def test_drawn_symbols_take_as_many_bits(seed):
    numbers, values = drawn(seed, 6000)
    data, oracle = both(numbers, values)
    assert sum(abs(value) > TABLES.reach[number] for number, value in zip(numbers, values, strict=True)) >= 120
    check(data, oracle, numbers, values)


@pytest.mark.parametrize("quality", [0, 100, 200, 255])
def test_a_latent_takes_as_many_bits(quality, smooth_latent):
    """The symbols and tables that the learned codec really has."""
    latent = smooth_latent(height=48, width=48).astype(np.float32)
    parts, _ = encoder.LatentQuantizer(latent, WEIGHTS).code(quality)
    numbers, values = (np.concatenate([part[place] for part in parts]).tolist() for place in (0, 1))
    assert len(numbers) > 1000
    data, oracle = both(numbers, values)
    assert data == encoder.encode_to_quality(latent, quality, WEIGHTS)
    check(data, oracle, numbers, values)


def check(data: bytes, oracle: Oracle, numbers, values):
    """Both give the symbols back, and ours takes hardly more than constriction's, and than the ideal: 3 in 1000."""
    reader = rans.Reader(TABLES, data)
    assert reader.take(numbers).tolist() == values
    reader.close()
    coder = oracle.coder()
    ideal = sum(ideal_bits(number, value) for number, value in zip(numbers, values, strict=True))
    theirs = coder.num_valid_bits()
    print(f"{len(values)} symbols: ideal {ideal / 8:.1f}, constriction {theirs / 8:.1f}, ours {len(data)} bytes")
    # Besides: the state of 32 bits that each begins with, and words of 16 that are written whole.
    assert ideal <= 8 * len(data) <= 1.003 * ideal + 32
    assert abs(8 * len(data) - theirs) <= 0.003 * theirs + 32
    assert [coder.decode(model) for _, model in oracle.parts] == [symbol for symbol, _ in oracle.parts]
