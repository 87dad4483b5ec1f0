"""The archive coder: what it promises about errors, sizes and refusals. `test_second_decoder` has random latents."""

import math
import struct
import tracemalloc

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec.archive import blocks, entropy, find_fold, layout, prediction

RNG = np.random.default_rng(12)


def smooth(*shape):
    """Sums of waves that all channels and frames share, and a little noise."""
    axes = np.meshgrid(*(np.arange(side, dtype=np.float64) for side in shape), indexing="ij")
    waves = sum(np.sin(axis / (3 + number)) for number, axis in enumerate(axes))
    return waves + 0.05 * np.random.default_rng(1).normal(size=shape)


def archive(latent, precision=16, latent_format="unknown"):
    return codec.encode([latent], "archive", precision=precision, latent_format=latent_format)[0]


@pytest.mark.parametrize(
    ("latent_format", "channels", "precision"), [("SD1.x", 4, 32), ("SDXL", 4, 80), ("Flux2", 128, 16)]
)
def test_precision_is_that_of_the_latent_format_by_default(latent_format, channels, precision):
    latent = RNG.normal(size=(channels, 9, 8)).astype(np.float32)
    (image,) = codec.encode([latent], "archive", latent_format=latent_format)
    assert image == archive(latent, precision, latent_format)
    assert np.abs(codec.decode(image) - latent).max() == pytest.approx(latent.std() / precision / 2, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 1, 33, 50), (16, 5, 20, 7), (2, 23, 3, 1), (3, 2, 300, 170)])
def test_every_place_is_in_one_block_and_its_neighbors_before(shape):
    known = np.zeros(shape, np.int64)
    for block in blocks.blocks(*shape):
        assert not block.take(known).any()
        if block.kind != blocks.COARSE:
            assert all(part.all() for part in block.take_neighbors(known))
        if block.references:
            assert all(part.take(known).all() for part in block.of_references())
        block.put(known, np.ones((shape[0], block.size)))
    assert known.all()


def test_tables_add_up_and_their_means_are_those_of_the_ladder():
    tables = entropy.tables()
    frequencies = tables.frequencies.reshape(entropy.NUM_TABLES, -1)
    assert (frequencies.sum(1) == 4096).all()
    for step, row in enumerate(frequencies):
        assert row[: tables.escapes[step] + 1].min() >= 1
        mean = (row[: tables.escapes[step]] * np.abs(entropy.INTEGERS[: tables.escapes[step]])).sum() / 4096
        middle = (entropy.scale_of(step) + entropy.scale_of(step + 1)) / 2 / prediction.SCALE_UNIT
        assert mean == pytest.approx(middle, rel=0.1, abs=0.003)
    scales = np.arange(1, 1 << 14)
    steps = entropy.place_on_ladder(scales.astype(np.float32))
    assert (steps == entropy.place_on_ladder(scales.astype(np.float64))).all()
    assert all(entropy.scale_of(step) <= max(scale, 64) < entropy.scale_of(step + 1)
               for step, scale in zip(steps.tolist(), scales.tolist(), strict=True))  # fmt: skip


@pytest.mark.parametrize("value", [0, -3.5, 1e-30, 65504])
def test_constants_come_back_exactly(value):
    latent = np.full((4, 9, 40), value, np.float32)
    image = archive(latent)
    assert (codec.decode(image) == latent).all() and image.num_bytes < 200


def test_single_frames_and_their_shapes():
    latent = smooth(16, 1, 12, 20)
    five, four = archive(latent), archive(latent[:, 0])
    assert five.frames == 1 and four.frames is None and five.num_bytes == four.num_bytes + 6
    assert (codec.decode(five)[:, 0] == codec.decode(four)).all()


def test_frames_and_channels_that_are_alike_cost_little():
    latent = smooth(4, 1, 24, 24)
    still = np.repeat(latent, 9, 1)
    assert archive(still).num_bytes < 1.6 * archive(latent).num_bytes
    alike = np.tile(latent, (8, 1, 1, 1))
    assert archive(alike).num_bytes < 3 * archive(latent).num_bytes


def test_a_finer_precision_takes_more_bytes_and_errs_less():
    latent = smooth(4, 32, 32)
    images = [archive(latent, precision) for precision in (1, 4, 16, 64, 1024)]
    errors = [np.abs(codec.decode(image) - latent).max() for image in images]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 500
    sizes = [image.num_bytes for image in images]
    assert sizes == sorted(sizes)
    root = math.sqrt(((codec.decode(images[2]) - latent) ** 2).mean())
    assert codec.estimate_error(images[2]) == pytest.approx(root, rel=0.1)


@pytest.mark.parametrize("bad", [0, 0.5, 4097, math.nan, "fine"])
def test_bad_precisions_are_refused(bad):
    with pytest.raises(codec.SdcArgumentError, match="precision is .*1 to 4096"):
        archive(smooth(4, 3, 3), bad)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_numbers_are_refused(value):
    latent = smooth(4, 3, 3)
    latent[2, 1, 1] = value
    with pytest.raises(codec.SdcArgumentError, match="NaN or infinity"):
        archive(latent)


def test_other_presets_store_one_frame():
    for preset in codec.PRESETS.keys() - {"archive"}:
        with pytest.raises(codec.SdcArgumentError, match="2 frames, which only archive can store; choose archive"):
            codec.encode([smooth(4, 2, 3, 3)], preset)


def test_channels_folded_as_those_of_flux2_are_found():
    places = smooth(8, 1, 24, 20)
    folded = layout.fold_up(places, 2)
    assert folded.shape == (32, 1, 12, 10) and (layout.unfold(folded, 2) == places).all()
    # ComfyUI's Flux2: channel (c 2 + row) 2 + column.
    assert folded[4 * 3 + 2 * 1 + 0, 0, 5, 7] == places[3, 0, 11, 14]
    assert (find_fold(folded), find_fold(places.repeat(4, 0)[::-1] * RNG.normal(size=(32, 1, 24, 20)))) == (2, 1)
    image = archive(folded[:, 0])
    assert image.stored.payload[4] == 2 and image.num_bytes < archive(places).num_bytes + 10


def test_images_and_video_in_one_file():
    latents = [smooth(16, 3, 6, 8), smooth(16, 3, 6, 8)[:, ::-1]]
    images = codec.encode(latents, "archive", latent_format="Wan21")
    data = codec.join_images(images)
    assert codec.load_all(data) == images
    assert data.count(b"T\2\0\0\3\0") == 1
    with pytest.raises(codec.SdcArgumentError, match="one kind and size"):
        codec.join_images([images[0], archive(latents[1][:, :2], latent_format="Wan21")])


def test_another_name_for_the_format():
    image = archive(smooth(16, 6, 8))
    renamed = codec.relabeled(image, "Flux")
    assert renamed.latent_format == "Flux" and (codec.decode(renamed) == codec.decode(image)).all()
    with pytest.raises(codec.SdcArgumentError, match="incompatible"):
        codec.relabeled(image, "SDXL")


def rebuilt(build_file, payload, image):
    channels, height, width = image.shape
    return build_file([(b"N", payload)], latent_format=0, channels=channels, latent_height=height, latent_width=width,
                      coder=4)  # fmt: skip


def test_damaged_payloads_are_refused(build_file):
    image = archive(smooth(5, 9, 11))
    payload = image.stored.payload
    assert codec.load(rebuilt(build_file, payload, image)).stored.payload == payload
    step, fold, largest = struct.unpack("<fBI", payload[:9])
    heads = [
        (math.nan, fold, largest),
        (0, fold, largest),
        (-step, fold, largest),
        (math.inf, fold, largest),
        (3e38, fold, largest),  # more than a binary32 holds, in the latent
        (step, 0, largest),
        (step, 2, largest),
    ]
    for head in [*heads, (step, fold, (1 << 20) + 1)]:
        with pytest.raises(codec.SdcFormatError, match="section N has a step"):
            codec.load(rebuilt(build_file, struct.pack("<fBI", *head) + payload[9:], image))
    with pytest.raises(codec.SdcFormatError, match="its head takes 9"):
        codec.load(rebuilt(build_file, payload[:8], image))
    longest = layout.max_payload_bytes((5, 1, 9, 11))
    codec.load(rebuilt(build_file, payload.ljust(longest, b"\0"), image))
    with pytest.raises(codec.SdcFormatError, match=f"no encoder writes more than {longest}"):
        codec.load(rebuilt(build_file, payload.ljust(longest + 1, b"\0"), image))
    changed = [payload[:length] for length in (9, 12, 16, 17, 40, len(payload) - 1)] + [payload + b"\0"]
    changed += [payload[:5] + struct.pack("<I", largest - 1) + payload[9:]]
    words = 17 + 2 * int.from_bytes(payload[13:17], "little")  # not the bits behind them, of which any are sound
    changed += [payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :] for at in range(17, words, 7)]
    for data in changed:
        with pytest.raises(codec.SdcFormatError, match="section N"):
            codec.decode(codec.load(rebuilt(build_file, data, image)))


@pytest.mark.parametrize("shape", [(16, 80, 80), (4, 4, 40, 160)])
def test_memory_is_a_small_multiple_of_the_latent(shape):
    latent = RNG.normal(size=shape).astype(np.float32)
    peaks = []
    image = archive(latent)
    for work in (lambda: archive(latent), lambda: codec.decode(image)):
        tracemalloc.start()
        work()
        peaks.append(tracemalloc.get_traced_memory()[1] / latent.nbytes)
        tracemalloc.stop()
    assert peaks[0] < 24 and peaks[1] < 10
