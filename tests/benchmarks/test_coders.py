"""The benches of the learned codec: their arithmetic by closed forms, and their tables on rows made by hand."""

import math

import numpy as np
import pytest
import sdc_pack.codec as codec

from benchmarks import coders, rate, speed
from benchmarks.harness import timing
from benchmarks.harness.quantizers import Codebook, Prediction, Scalars, neighbors, palette_bytes


def walk(seed: int, near: float, height: int = 48, width: int = 48) -> np.ndarray:
    """(h, w, 4) of variance 1, correlated by `near` with its left neighbor, rows apart from each other."""
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(height, width, 4))
    for column in range(1, width):
        grid[:, column] = near * grid[:, column - 1] + math.sqrt(1 - near**2) * grid[:, column]
    return grid


def test_neighbors_lie_left_and_above():
    grid = np.arange(12.0).reshape(3, 4, 1)
    seen = neighbors(grid)
    assert seen[5].tolist() == [4, 1, 0, 2, 1]  # left, above, above left, above right, one
    assert seen[0].tolist() == [0, 0, 0, 0, 1] and seen[7].tolist() == [6, 3, 2, 0, 1]


@pytest.mark.parametrize("near", [0.0, 0.9])
def test_scalars_take_the_bits_of_the_distribution(near):
    """Fine steps of a Gaussian: its differential entropy less the logarithm of the step."""
    scalars = Scalars([walk(seed, near) for seed in range(6)], 0.05, 0.0)
    grid = walk(99, near)
    bits = 0.5 * math.log2(2 * math.pi * math.e * (1 - near**2)) - math.log2(0.05)
    assert 8 * scalars.bytes(grid) / grid.size == pytest.approx(bits, rel=0.03)
    assert np.square(scalars.decode(grid) - grid).mean() == pytest.approx(0.05**2 / 12, rel=0.02)


def test_a_dead_zone_gives_more_zeros_for_fewer_bits():
    grids = [walk(seed, 0.5) for seed in range(4)]
    plain, dead = Scalars(grids, 1.0, 0.0), Scalars(grids, 1.0, 0.4)
    assert dead.bytes(grids[0]) < plain.bytes(grids[0])
    assert (dead.decode(grids[0]) == 0).mean() > (plain.decode(grids[0]) == 0).mean() + 0.1
    assert Scalars(grids, 1.0, 0.4).decode(np.full((1, 1, 4), 0.69)).tolist() == [[[0.0] * 4]]


def test_codebooks_know_their_neighbors():
    """Places that repeat their left neighbor are cheap only to who looks at it; others cost the same either way."""
    alone, known = Codebook([walk(seed, 0.0) for seed in range(4)], 32, 0.0).bytes(walk(99, 0.0))
    assert known == pytest.approx(alone, rel=0.06) and 8 * alone / 48**2 == pytest.approx(5, abs=0.3)
    alone, known = Codebook([walk(seed, 0.95) for seed in range(4)], 32, 0.0).bytes(walk(99, 0.95))
    assert known < 0.7 * alone


def test_dear_entries_are_used_less():
    grids = [walk(seed, 0.5) for seed in range(4)]
    free, dear = Codebook(grids, 64, 0.0), Codebook(grids, 64, 0.5)
    errors = [np.square(book.decode(grids[0]) - grids[0]).mean() for book in (free, dear)]
    assert dear.bytes(grids[0])[0] < 0.95 * free.bytes(grids[0])[0] and errors[0] < errors[1] < 2 * errors[0]
    # The choice is the one that costs least, and not merely cheaper.
    point = grids[0].reshape(-1, 4)[:200]
    costs = np.square(point[:, None] - dear.entries).sum(2) + 0.5 * dear.bits
    assert (dear.choose(point) == costs.argmin(1)).mean() > 0.99


def test_indices_of_a_palette_cost_no_more_than_plain_ones():
    grid = walk(5, 0.95)
    encoded = codec.encode([grid.transpose(2, 0, 1)], "custom", colors=16, dither="none")[0]
    entries, indices = encoded.stored.values.astype(float), encoded.stored.indices
    prediction = Prediction([walk(seed, 0.95) for seed in range(4)])
    assert 0.3 < palette_bytes(prediction, entries, indices) / (indices.size * 4 / 8) < 0.9


def rows_of_coders():
    for number in range(2):
        image = {"image": f"p{number}", "pixels": str(number)}
        base = {"error": 1.0, "psnr": 20.0, "ssim": 0.5, "ms_ssim": None}
        for key, lpips, size, *known in (
            ({"row": coders.BOUND}, 0.1, 0),
            ({"row": coders.FILE, "colors": 64, "dither": "none", "dither_strength": 0.0}, 0.26, 3000 + number),
            ({"row": coders.FILE, "colors": 256, "dither": "none", "dither_strength": 0.0}, 0.14, 5000),
            ({"row": coders.FILE, "size": 1700}, 0.26, 1690),
            ({"row": coders.FILE, "size": 3200}, 0.14, 3190),
            ({"row": coders.FILE, "size": 3000 + number}, 0.25 + number / 50, 2990),
            ({"row": coders.FILE, "size": 3200, "mask": "black"}, 0.2, 3180),
            ({"row": coders.BOOK, "entries": 1024, "price": 0.0}, 0.2, 4400, 4000),
        ):
            value = {**base, "lpips": lpips, "bytes": size} | ({"bytes_known": known[0]} if known else {})
            yield {"key": {**image, **key}, "value": value}


def test_coders_says_who_takes_the_fewest_bytes():
    ways, equal = coders.report(list(rows_of_coders()))
    assert [line[:3] for line in ways.rows] == [
        ["autoencoder", "nothing stored", "0"],
        [coders.PALETTE, "64 colors, no dither", "3000"],
        [coders.PALETTE, "256 colors, no dither", "5000"],
        [coders.LEARNED, "1700 bytes at most", "1690"],
        [coders.LEARNED, "3200 bytes at most", "3190"],
        [coders.THRIFT, "3200 bytes at most", "3180"],
        [coders.BOOK, "1024 entries, price 0", "4400"],
        [coders.BOOK + coders.WITH, "1024 entries, price 0", "4000"],
    ]
    assert equal.rows == [[coders.PALETTE, "3131", "3873", "4792"], [coders.LEARNED, "1782", "2322", "3026"]]
    assert f"At LPIPS 0.20: {coders.LEARNED}, 40 % less than the next, {coders.PALETTE}." in equal.notes
    assert "better than 64 colors without dither: PSNR 0, SSIM 0, LPIPS 1." in equal.notes[-1]


def test_rate_sets_the_learned_codec_beside_each_palette_at_its_bytes():
    rows = []
    for number in range(2):
        image = {"image": f"p{number}", "pixels": str(number)}
        for key, lpips, size in (
            ({"row": "autoencoder", "vae": "taesd"}, 0.1, None),
            ({"row": "SDC", "vae": "taesd", **codec.PRESETS["paper"].fixed}, 0.3, 3000 + number),
            ({"row": "SDC", "vae": "taesd", "colors": 64, **rate.DITHERS["no dither"]}, 0.26, 2800 + number),
            ({"row": "SDC", "vae": "taesd", "size": 3200}, 0.2, 3190),
            ({"row": "SDC", "vae": "taesd", "size": 3000 + number}, 0.22, 2990),
            ({"row": "SDC", "vae": "taesd", "size": 2800 + number}, 0.25 + number / 50, 2790),
            ({"row": "AVIF", "size": 3000}, 0.21, 2900),
        ):
            value = {"psnr": 20.0 + number, "ssim": 0.5, "ms_ssim": None, "lpips": lpips, "bytes": size, "fits": True}
            rows.append({"key": {**image, **key}, "value": value})
    equal, everything = rate.report(rows)
    assert equal.rows[0] == ["SDC, preset best", "2990", "20.50", "0.500", "-", "0.220", "0"]
    better = "Images of 2 on which {} is better than {}: PSNR 0, SSIM 0, LPIPS {}."
    best = "the preset best, in as many bytes,"
    assert better.format(best, "the preset paper", 2) in equal.notes
    assert better.format(best, "64 colors without dither", 1) in equal.notes
    assert better.format("AVIF", "the preset best in as many bytes", 2) in equal.notes
    assert [line[0] for line in everything.rows if "best" in line[0]] == ["SDC, preset best, 3200 bytes at most"]


def test_both_presets_are_timed_in_a_process_of_their_own():
    latent = np.random.default_rng(5).normal(size=(4, 16, 16)).astype(np.float32) * 4
    by_quality = speed.measure_alone(timing.BY_QUALITY, latent, 55)
    assert by_quality["bytes"] == codec.encode([latent], quality=55)[0].size
    by_size = speed.measure_alone(timing.BY_SIZE, latent, 300)
    assert 0.9 * 300 < by_size["bytes"] <= 300
    assert min(by_size["encode_seconds"], by_quality["decode_seconds"]) > 0


def test_shares_of_the_autoencoders_time():
    sides = {512: {"encode_seconds": 1.0, "decode_seconds": 2.0}, 4096: {"encode_seconds": 9.0, "decode_seconds": 9.0}}
    found = {"SDC best by size": sides, "autoencoder": {512: {"encode_seconds": 4.0, "decode_seconds": 20.0}}}
    assert speed.shares(found) == [
        "SDC best by size, at most of the autoencoder's time, up to 512x512: encode 25 %, decode 10 %."
    ]
