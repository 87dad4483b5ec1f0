"""How much the learned codec computes, in counts: what makes it slower shows here on any machine."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec import learned
from sdc_codec.learned import encoder, winograd
from sdc_codec.learned.layers import AREA
from sdc_codec.learned.weights import load_weights

HEIGHT, WIDTH = 150, 202  # of a latent, in several strips


def direct() -> tuple[int, int]:
    """Multiplications that every layer at every place would take, a place: to predict, and in the synthesis."""
    weights, found = load_weights(learned.NEWEST["SD1.x"]), Counter()
    for name, conv in weights.convs.items():
        total = weights.starts[-1]
        inputs = 9 * (total + 5) if name.endswith(".first") and name[0] == "c" else len(conv.weights)
        found[name[0]] += inputs * conv.weights.shape[1]
    return found["c"], found["s"]


@pytest.fixture
def work(monkeypatch):
    """Counts multiplications and, for each layer, rows of tiles."""
    counted = Counter()

    def count(kind, products, rows):
        inner = kind.__call__

        def call(self, x, other):
            sums = inner(self, x, other)
            counted["products"] += products(self, x, sums)
            counted[self] += rows(sums, other)
            return sums

        monkeypatch.setattr(kind, "__call__", call)

    count(
        winograd.Tiles,
        lambda of, x, y: 16 * y.shape[1] * y.shape[2] * x.shape[3] * y.shape[3],
        lambda y, finish: y.shape[1],
    )
    count(
        winograd.Places,
        lambda of, x, y: sum(len(w) for _, w in of.parts) * y.shape[1] * y.shape[2],
        lambda y, columns: y.shape[1] // columns,
    )
    return counted


def latent(height=HEIGHT, width=WIDTH):
    return np.random.default_rng(1).normal(size=(4, height, width)).astype(np.float32) * 4


def test_a_strip_computes_nothing_that_another_has(work):
    assert HEIGHT * WIDTH > 3 * AREA
    codec.decode(codec.load(codec.encode([latent()], quality=50)[0].data))
    rows = -(-HEIGHT // 4)
    for name, conv in load_weights(learned.NEWEST["SD1.x"]).convs.items():
        if name.endswith((".last", ".linear")):
            continue
        # The first network, which knows nothing yet, sees 12 places at most each way; the synthesis only decodes.
        expected = 2 * 6 if name.startswith("c0") else 2 * rows if name.startswith("c") else rows
        assert work[conv.places or conv.sums] == expected, name


def test_a_place_takes_few_multiplications(work):
    image = codec.encode([latent()], quality=50)[0]
    places = HEIGHT * WIDTH / 4
    predicted, synthesized = direct()
    assert work["products"] / places < 0.4 * predicted
    work.clear()
    codec.decode(codec.load(image.data))
    assert work["products"] / places < 0.4 * predicted + 0.55 * synthesized


@pytest.mark.parametrize("latent_format", codec.LEARNED_FORMATS)
@pytest.mark.parametrize("share", [0.3, 1])
@pytest.mark.parametrize(("few", "most"), [(0, 128), (0, 3), (1 << 20, 128)], ids=["tiles", "in parts", "directly"])
def test_the_products_of_tiles_are_exact(latent_format, share, few, most, monkeypatch):
    """Beside sums of Python's kind: with inputs as large as they may be, where float32 alone would not do."""
    monkeypatch.setattr(winograd, "FEW", few)
    monkeypatch.setattr(winograd, "MAX_TILES", most)
    weights, rng = load_weights(learned.NEWEST[latent_format]), np.random.default_rng(3)
    for name, conv in weights.convs.items():
        if name.endswith((".last", ".linear")):
            continue
        inputs = len(conv.weights) // 9
        x = np.zeros((4, 4, 5, inputs), conv.weights.dtype)
        signs = np.where(conv.weights.reshape(9, inputs, -1)[4, :, 0] > 0, 1, 0)  # the worst case of one output
        x[:, 1:-1, :-1] = rng.choice([signs, 1 - signs, signs * 0 + 1], (4, 2, 4))[..., :] * int(share * conv.max_input)
        places = x[:, 1:-1, :-1].reshape(2, 2, 2, 4, inputs).transpose(2, 0, 3, 1, 4).reshape(4, 8, inputs)
        around = np.pad(places.astype(np.int64), ((1, 1), (1, 1), (0, 0)))
        taps = conv.weights.astype(np.int64).reshape(3, 3, inputs, -1)
        exact = sum(around[i : i + 4, j : j + 8] @ taps[i, j] for i in range(3) for j in range(3))
        exact = exact.reshape(2, 2, 4, 2, -1).transpose(1, 3, 0, 2, 4).reshape(4, 2, 4, -1)
        assert (winograd.Tiles(conv.weights, conv.max_input)(x)[:, :, :-1] == exact).all(), name


def test_inputs_too_large_for_float32_are_seen():
    """A filter that adds up all of nine taps has no room for its largest inputs, and is computed in float64."""
    weights = np.full((9 * 8, 1), 3, np.float32)
    most = (2**24 - 1) // int(weights.sum())
    tiles = winograd.Tiles(weights, most)
    x = np.full((4, 3, 2, 8), most, np.float32)
    assert tiles.bounds.size and not tiles._fits(x) and tiles._fits(x // 8)


@pytest.mark.parametrize(
    ("latent_format", "shape"), [("SD1.x", (40, 2048)), ("Flux", (24, 2047)), ("SD1.x", (511, 190))]
)
def test_decoding_takes_little_beside_the_latent(latent_format, shape):
    """As wide as a latent may be, when a strip is one row of tiles, and high enough for what grows with the rows."""
    channels = codec.by_name(latent_format).channels
    for each in ((40, 40), shape):  # the first loads the weights
        winograd.room.kept.clear()
        made = np.random.default_rng(1).normal(size=(channels, *each)).astype(np.float32) * 3
        image = codec.load(codec.encode([made], latent_format=latent_format, quality=20)[0].data, max_pixels=1 << 32)
        tracemalloc.start()
        try:
            decoded = codec.decode(image)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak - decoded.nbytes < 24e6


@pytest.mark.parametrize("side", [1, 8, 16])
def test_few_places_take_one_product_a_layer(monkeypatch, side):
    """Calls are what a small latent takes its time for."""
    calls, multiply = [], winograd._multiply
    monkeypatch.setattr(winograd, "_multiply", lambda *arrays: calls.append(1) or multiply(*arrays))
    codec.decode(codec.load(codec.encode([latent(side, side)], quality=50)[0].data))
    assert not calls


@pytest.mark.parametrize("max_bytes", [1500, 2500, 5000])
def test_a_size_takes_few_tries(monkeypatch, max_bytes):
    tries, code = [], encoder.LatentQuantizer.code
    monkeypatch.setattr(encoder.LatentQuantizer, "code", lambda self, quality: tries.append(1) or code(self, quality))
    image = codec.encode([latent(64, 64)], max_bytes=max_bytes)[0]
    assert len(tries) <= 3 and 0.97 * max_bytes < image.num_bytes <= max_bytes


def test_a_large_latent_is_tried_in_parts_first(monkeypatch, work):
    codec.encode([latent(256, 256)], quality=50)
    once = work["products"]
    work.clear()
    codec.encode([latent(256, 256)], max_bytes=40_000)
    assert work["products"] < 2.4 * once
