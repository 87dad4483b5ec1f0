"""Files of version 1 decode to the same bytes for ever. Whoever changes a digest breaks somebody's image."""

import hashlib
import re
from pathlib import Path

import numpy as np
import plain_decoder
import pytest
import sdc_codec as codec
from sdc_codec import learned

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
LEARNED = sorted(FIXTURES.glob("v1_learned_*.sdc"))


def read_table():
    """The table in the fixtures' README: file name to latent shape and SHA-256."""
    lines = (FIXTURES / "README.md").read_text("utf-8").splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| `v")]
    return {name.strip(" `"): (shape.strip(), digest.strip(" `")) for name, shape, digest, _ in rows}


def test_the_table_lists_every_fixture():
    assert sorted(read_table()) == sorted(path.name for path in FIXTURES.glob("*.sdc"))


@pytest.mark.parametrize("name", read_table())
def test_golden_files_decode_to_the_same_bytes(name):
    data = (FIXTURES / name).read_bytes()
    images = codec.load_all(data)
    latents = np.stack([codec.decode(image) for image in images])
    shape, digest = read_table()[name]
    assert " x ".join(map(str, latents.shape if len(images) > 1 else latents[0].shape)) == shape
    content = [latent.astype("<f4").tobytes() for latent in latents]
    assert hashlib.sha256(b"".join(content)).hexdigest() == digest
    described = [image.metadata for image in images]
    assert plain_decoder.decode_all(data) == list(zip(content, described, strict=True))


def test_golden_headers():
    def image(name):
        return codec.load((FIXTURES / name).read_bytes())

    fixed = image("v1_fixed_k64.sdc")
    assert (fixed.coder, fixed.colors, fixed.latent_format, fixed.num_bytes) == ("fixed", 64, "SD1.x", 592)
    zstd = image("v1_zstd_k16.sdc")
    assert (zstd.coder, zstd.colors, zstd.width, zstd.height) == ("zstd", 16, 250, 187)
    large = image("v1_zstd_k1000_metadata.sdc")
    assert (large.coder, large.colors, large.latent_format) == ("zstd", 1000, "SDXL")
    assert large.metadata == {
        "prompt": "a lighthouse at dusk, été",
        "workflow": {"nodes": [{"id": 1, "type": "SDCLoad"}], "version": 0.4},
    }
    one = image("v1_one_color_optional_section.sdc")
    assert (one.coder, one.colors, one.latent_format) == ("fixed", 1, "Flux")
    assert one.data.endswith(b"z\x05\x00\x00later" + one.data[-4:])
    smallest = image("v1_smallest.sdc")
    assert (smallest.num_bytes, smallest.width, smallest.height) == (52, 1, 1)
    sd3 = image("v1_sd3_k2.sdc")
    assert (sd3.latent_format, sd3.colors, sd3.width, sd3.height) == ("SD3", 2, 67, 33)
    described = image("v1_metadata_free_keys.sdc")
    assert described.metadata["prompt"] == "second \0" and described.metadata["tags"] == ["été", "😀", "狐"]
    assert described.metadata["big"] == 123456789012345678901234567890
    made = image("v1_settings_by_dictionary.sdc")
    assert made.metadata["seed"] == (1 << 64) - 1
    assert made.metadata["prompt"] == "a lighthouse at dusk, oil painting, été"
    assert image("v1_vae_fingerprint.sdc").vae.hex() == "d55421d1d82732d7"
    assert image("v1_workflow_by_dictionary.sdc").metadata["workflow"]["nodes"][0]["type"] == "SDCLoad"
    assert {"fixed": 4096, "zstd": 257} == {
        coder: image(name).colors for coder, name in (("fixed", "v1_fixed_k4096.sdc"), ("zstd", "v1_zstd_k257.sdc"))
    }


def test_the_fixtures_cover_every_coder():
    images = [image for path in FIXTURES.glob("*.sdc") for image in codec.load_all(path.read_bytes())]
    assert {image.coder for image in images} == {*codec.palette.PaletteCoder.ids.values(), "learned", "archive"}


def test_bytes_of_latent_formats_are_those_of_the_specification():
    """They are in files that people have."""
    text = (ROOT / "codec" / "FORMAT.md").read_text("utf-8")
    table = re.search(r"^\| latent format \| name .*\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[1:]]
    assert rows == [tuple(str(value) for value in vars(known).values()) for known in codec.LATENT_FORMATS]
    assert [(int(row[0]), (row[1], *map(int, row[2:4]))) for row in rows] == [*plain_decoder.LATENT_FORMATS.items()]


def test_golden_headers_of_the_learned_codec():
    def image(name):
        return codec.load((FIXTURES / f"v1_learned_{name}.sdc").read_bytes())

    odd, smallest, masked = image("odd_sides"), image("smallest"), image("mask_metadata")
    assert (odd.coder, odd.colors, odd.latent_format, odd.width, odd.height) == ("learned", None, "SD1.x", 197, 165)
    assert (smallest.num_bytes, smallest.width, smallest.height) == (39, 1, 1)
    assert masked.metadata == {
        "prompt": "a cup of coffee, été",
        "workflow": {"nodes": [{"id": 1, "type": "SDCLoad"}], "version": 0.4},
    }
    qualities = {path.stem: image(path.stem.removeprefix("v1_learned_")).stored.quality_byte for path in LEARNED}
    assert qualities == {
        "v1_learned_coarsest": 0,
        "v1_learned_odd_sides": 60,
        "v1_learned_smallest": 128,
        "v1_learned_photograph": 140,
        "v1_learned_mask_metadata": 157,
        "v1_learned_finest_escapes": 255,
    }


def test_golden_sequences():
    palettes, mixed = (
        codec.load_all((FIXTURES / f"v1_image_sequence_{name}.sdc").read_bytes()) for name in ("palettes", "mixed")
    )
    assert [image.coder for image in palettes] == ["fixed", "fixed", "fixed", "zstd", "fixed"]
    assert [image.colors for image in palettes] == [12, 12, 12, 5, 1]
    assert {image.vae.hex() for image in palettes} == {"d55421d1d82732d7"}
    assert {image.metadata["prompt"] for image in palettes} == {"twelve drawings of one wave, été"}
    assert [image.coder for image in mixed] == ["fixed", "learned", "fixed", "fixed"]
    assert [image.metadata.get("prompt") for image in mixed] == ["picture 0", None, "picture 1", "picture 2"]
    assert [(image.width, image.height) for image in palettes[:1] + mixed[:1]] == [(91, 61), (64, 48)]
    assert codec.join_images(mixed) == (FIXTURES / "v1_image_sequence_mixed.sdc").read_bytes()


@pytest.mark.parametrize("path", LEARNED, ids=lambda path: path.stem)
def test_weights_of_golden_files_are_still_there(path):
    weights = codec.load(path.read_bytes()).stored.weights
    assert weights == bytes.fromhex("9c707811")
    assert learned.weights.load_weights(weights).latent_format == "SD1.x"
