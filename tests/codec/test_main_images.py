"""Images at the command line: encoded, refined, decoded, and what is refused."""

import numpy as np
import sdc_codec as codec
from PIL import Image


def test_encode_and_decode_images(run, run_here, tmp_path):
    y, x = np.mgrid[0:75, 0:100]
    pixels = np.stack([2 * x, 3 * y, 200 - x], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    encoded = run("encode", tmp_path / "photo.png", "--preset=custom", "--colors=32", "--prompt", "a ramp")
    assert (encoded.returncode, encoded.stderr) == (0, "")
    image = codec.load((tmp_path / "photo.sdc").read_bytes())
    assert (image.width, image.height, image.metadata) == (100, 75, {"prompt": "a ramp"})
    assert f"photo.sdc: {image.num_bytes} bytes" in encoded.stdout

    refused = run_here("decode", tmp_path / "photo.sdc")
    assert (
        refused.returncode == 1 and "a file of this name already" in refused.stderr
    )  # the original is not overwritten
    (tmp_path / "empty.jpg").touch()
    refused = run_here("encode", tmp_path / "empty.jpg")
    assert refused.returncode == 1
    assert refused.stderr.endswith("cannot be read as an image: it is empty, damaged or of an unknown format\n")
    decoded = run_here("decode", tmp_path / "photo.sdc", "-o", tmp_path / "again.png")
    assert (decoded.returncode, decoded.stderr) == (0, "")
    restored = np.asarray(Image.open(tmp_path / "again.png"))
    assert restored.shape == pixels.shape
    assert np.abs(restored.astype(int) - pixels).mean() < 25


def test_encode_with_more_effort(run_here, tmp_path):
    """As large a file, of another content; and not for a palette, of which nothing can be refined."""
    y, x = np.mgrid[0:32, 0:40]
    Image.fromarray(np.stack([6 * x, 7 * y, (x * y) % 256], axis=-1).astype(np.uint8)).save(tmp_path / "photo.png")
    sizes = []
    for effort in ("fast", "thorough"):
        done = run_here(
            "encode", tmp_path / "photo.png", "-o", tmp_path / f"{effort}.sdc", "--bytes=90", f"--effort={effort}"
        )
        assert (done.returncode, done.stderr) == (0, "")
        sizes.append((tmp_path / f"{effort}.sdc").stat().st_size)
    assert 70 < min(sizes) <= max(sizes) <= 90
    assert (tmp_path / "fast.sdc").read_bytes() != (tmp_path / "thorough.sdc").read_bytes()
    refused = run_here("encode", tmp_path / "photo.png", "--preset=paper", "--effort=thorough", "--force")
    assert refused.returncode == 2 and "--effort thorough is for --preset best, not for paper" in refused.stderr


def test_without_torch_images_are_decoded_too(run_python, tmp_path, smooth_latent):
    (tmp_path / "torch.py").write_text("raise ImportError('not here', name='torch')")
    (tmp_path / "in.sdc").write_bytes(codec.encode([smooth_latent()], "custom")[0].data)
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from codec.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    for command in ("decode", "verify"):
        done = run_python("-c", script, tmp_path, command, tmp_path / "in.sdc")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "in.png").is_file()
