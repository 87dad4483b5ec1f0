"""`python -m codec` with files of several images."""

import json

import numpy as np
import pytest
import sdc_codec as codec


@pytest.fixture
def sequence(tmp_path, smooth_latent):
    """Three images in one file, with one palette."""
    latents = [smooth_latent(seed=n) for n in range(3)]
    images = codec.encode(latents, "custom", colors=16, metadata={"prompt": "three waves"}, shared_palette=True)
    path = tmp_path / "sequence.sdc"
    path.write_bytes(codec.join_images(images))
    return path, images


def test_join_and_split(run, sequence, tmp_path):
    path, images = sequence
    done = run("split", path, "-o", tmp_path / "apart.sdc")
    assert done.returncode == 0 and "apart_00001.sdc: " in done.stdout
    apart = [tmp_path / f"apart_{n:05}.sdc" for n in (1, 2, 3)]
    assert [file.read_bytes() for file in apart] == [image.data for image in images]
    whole = run("join", *apart, "-o", tmp_path / "again.sdc")
    assert whole.returncode == 0 and f"3 images, {path.stat().st_size} bytes, " in whole.stdout
    assert (tmp_path / "again.sdc").read_bytes() == path.read_bytes()
    assert "there is a file of this name" in run("join", *apart, "-o", tmp_path / "again.sdc").stderr
    piped = run("join", "-", "-o", "-", stdin=path.read_bytes())
    assert piped.stdout == path.read_bytes()
    assert run("join", path, apart[0], "--force", "-o", tmp_path / "again.sdc").returncode == 0
    assert len(codec.load_all((tmp_path / "again.sdc").read_bytes())) == 4
    alone = run("split", apart[0], "-o", tmp_path / "one.sdc")
    assert alone.returncode == 0 and (tmp_path / "one.sdc").read_bytes() == apart[0].read_bytes()


def test_join_writes_nothing_of_files_that_do_not_go_together(run, sequence, fixtures, tmp_path):
    path, _ = sequence
    for other, message in (
        (fixtures / "v1_smallest.sdc", "one file holds images of one kind and size"),
        (tmp_path / "missing.sdc", "not written, because not all files could be read"),
    ):
        done = run("join", path, other, "-o", tmp_path / "new.sdc")
        assert done.returncode == 1 and message in done.stderr and not (tmp_path / "new.sdc").exists()


def test_the_other_commands_take_files_of_several_images(run, run_here, sequence, tmp_path):
    path, images = sequence
    assert run("verify", path).returncode == 0
    told = json.loads(run("info", "--json", path).stdout)
    assert (told["images"], told["coder"], told["bytes"]) == (3, "image sequence", path.stat().st_size)
    assert [section["tag"] for section in told["sections"]] == ["A", "d"]
    assert [each["colors"] for each in told["each"]] == [16] * 3
    assert [each["metadata"] for each in told["each"]] == [{"prompt": "three waves"}] * 3
    words = run("info", path).stdout
    assert "3 images of 192 x 128 pixels" in words and "image 3: 16 colors (coder " in words
    assert words.count("three waves") == 1 and "(the images)" in words
    assert run("extract", path).returncode == 0
    for number, image in enumerate(images, 1):
        np.testing.assert_array_equal(np.load(tmp_path / f"sequence_{number:05}.npy"), codec.decode(image))
    assert run("strip", path, "-o", tmp_path / "bare.sdc").returncode == 0
    bare = codec.load_all((tmp_path / "bare.sdc").read_bytes())
    assert [image.metadata for image in bare] == [{}] * 3
    assert run("relabel", "--latent-format", "SDXL", path, "-o", tmp_path / "xl.sdc").returncode == 0
    changed = codec.load_all((tmp_path / "xl.sdc").read_bytes())
    assert [image.latent_format for image in changed] == ["SDXL"] * 3
    refused = run_here("decode", path, "-o", "-")
    assert refused.returncode == 1 and "do not fit into one pipe" in refused.stderr


def test_decode_numbers_the_images_of_one_file(run, sequence, tmp_path):
    pytest.importorskip("PIL")
    path, _ = sequence
    assert run("decode", path).returncode == 0
    assert sorted(file.name for file in tmp_path.glob("*.png")) == [f"sequence_{n:05}.png" for n in (1, 2, 3)]


def test_a_damaged_image_of_several_is_named(run, fixtures, tmp_path):
    image = codec.load((fixtures / "v1_learned_finest_escapes.sdc").read_bytes())
    header, sections = codec.container.parse(image.data, 1 << 30)
    broken = codec.load(codec.container.pack(header, {"L": bytes(sections["L"])[:-2]}))
    (tmp_path / "broken.sdc").write_bytes(codec.join_images([image, broken]))
    assert "image 2 of 2: " in run("verify", tmp_path / "broken.sdc").stderr
