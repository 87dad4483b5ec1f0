"""What one worker does, in this process and without Ray, on good and on bad images."""

import io
import json

import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from comfy.cli_args import args
from PIL import Image, ImageCms, PngImagePlugin

args.cpu = not torch.cuda.is_available()  # before ComfyUI looks for a device

from sdc_pack.bulk import tiles  # noqa: E402
from sdc_pack.bulk.work import Work, generation_of_file  # noqa: E402
from sdc_pack.codec import learned  # noqa: E402
from sdc_pack.codec.autoencoder import refinement  # noqa: E402

GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "best.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["1", 1]}},
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "model": ["1", 0], "positive": ["2", 0]}},
    "4": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["1", 2]}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}},
}


@pytest.fixture
def worker():
    def start(command, source, output, **others):
        return Work(
            {
                "command": command, "source": str(source), "output": str(output), "cpu": args.cpu, "cores": 1,
                "checkpoint": None, "vae": None, "controlnet": None, "shards": False, "preset": "clean", "bpp": None,
                "effort": "fast", "latent_format": "auto", "keep_prompts": True, "max_megapixels": 50, **others,
            }
        )  # fmt: skip

    return start


def test_a_worker_compresses_and_brings_back_and_a_bad_image_costs_itself_alone(worker, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(GRAPH))
    Image.fromarray(skimage.data.astronaut()[:64, :90]).save(images / "face.png", pnginfo=info)
    Image.fromarray(skimage.data.camera()[:64, :64]).save(images / "gray.jpg")
    (images / "bad.png").write_bytes(b"no image")

    compress = worker("compress", images, out)
    done = compress.do("face.png", "sub/face.sdc")
    face = codec.load_file(out / "sub" / "face.sdc")
    assert (face.width, face.height, face.latent_format) == (90, 64, "SD1.x") and face.vae is not None
    assert face.metadata == {"prompt": "a cat", "seed": 7, "model": "best.safetensors", "vae": "best.safetensors"}
    assert done["bytes"] == face.num_bytes and done["bpp"] == round(face.bits_per_pixel, 4) and "error" not in done
    assert "error" not in compress.do("gray.jpg", "gray.sdc")
    assert codec.load_file(out / "gray.sdc").metadata == {}
    assert "UnidentifiedImageError" in compress.do("bad.png", "bad.sdc")["error"]
    assert not (out / "bad.sdc").exists()
    # Given once more, as after a worker that was killed before it could say so, nothing is done again.
    again = compress.do("face.png", "sub/face.sdc")
    # What was noted of the image is in the row of the first time.
    assert {**again, "notes": done["notes"], "seconds": 0} == {**done, "seconds": 0}
    (out / "other.sdc").write_bytes(b"of somebody")
    assert "other.sdc is there already and is no result" in compress.do("gray.jpg", "other.sdc")["error"]
    assert (out / "other.sdc").read_bytes() == b"of somebody"

    (out / "cut.sdc").write_bytes(face.data[:-9])
    for command in ("decompress", "regenerate"):
        back = worker(command, out, tmp_path / command)
        assert back.do("sub/face.sdc", "face.png")["bytes"] == face.num_bytes
        assert Image.open(tmp_path / command / "face.png").size == (90, 64)
        assert "SdcFormatError" in back.do("cut.sdc", "cut.png")["error"]
    # For shards the file itself is handed on.
    shard = worker("compress", images, tmp_path / "shards", shards=True).do("face.png", "face.sdc")
    assert shard["data"] == face.data and not (tmp_path / "shards").exists()


def test_what_is_compressed_is_not_decoded(worker, tmp_path, monkeypatch):
    Image.fromarray(skimage.data.astronaut()[:64, :96]).save(tmp_path / "face.png")
    monkeypatch.setattr(learned, "decode_payload", None)
    done = worker("compress", tmp_path, tmp_path, preset="best", bpp=0.2).do("face.png", "face.sdc")
    assert "error" not in done and codec.load_file(tmp_path / "face.sdc").coder == "learned"


def test_with_more_effort_a_file_is_as_large_and_another(worker, tmp_path, monkeypatch):
    """It is refined for the image itself, not for what the VAE makes of it."""
    monkeypatch.setattr(refinement, "STEPS", 2)
    pixels, seen = skimage.data.astronaut()[:128, :128], []
    refine = refinement.refine
    monkeypatch.setattr(refinement, "refine", lambda *given: seen.append(given[1]) or refine(*given))
    Image.fromarray(pixels).save(tmp_path / "face.png")
    for effort in ("fast", "thorough"):
        done = worker("compress", tmp_path, tmp_path, preset="best", bpp=0.3, effort=effort).do(
            "face.png", f"{effort}.sdc"
        )
        assert 400 < done["bytes"] <= 0.3 * 128 * 128 / 8
    assert (tmp_path / "fast.sdc").read_bytes() != (tmp_path / "thorough.sdc").read_bytes()
    assert np.array_equal(seen, [pixels])


def as_file(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def test_colors_are_those_that_people_see(worker, tmp_path):
    """Each of these was white, black or another color once: Pillow converts it without a word."""
    pixels = skimage.data.astronaut()[:64, :64]
    gray = pixels[..., 1]
    alpha = np.where(np.arange(64) < 32, np.uint8(255), np.uint8(0))[None].repeat(64, 0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"?XYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"?XYZ", b"bXYZ", 1)
    files = {  # name: (content, the image that people see)
        "16-bit.png": (as_file(gray.astype(np.uint16) * 257), gray),
        "float.tif": (as_file((gray / 255).astype(np.float32), "TIFF"), gray),
        "alpha.png": (as_file(np.dstack([pixels, alpha])), np.where(alpha[..., None] > 0, pixels, np.uint8(255))),
        "profile.png": (as_file(pixels, icc_profile=swapped), np.ascontiguousarray(pixels[..., ::-1])),
    }
    work = worker("compress", tmp_path, tmp_path)
    for name, (content, seen) in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / f"seen-{name}.png").write_bytes(as_file(seen))
        latents = []
        for source in (name, f"seen-{name}.png"):
            assert "error" not in work.do(source, f"{source}.sdc")
            latents.append(codec.decode(codec.load_file(tmp_path / f"{source}.sdc")))
        error = np.linalg.norm(latents[0] - latents[1]) / np.linalg.norm(latents[1])
        assert error < 0.05, (name, error)


def test_what_is_too_large_is_refused_by_its_header(worker, tmp_path):
    claimed = bytearray(as_file(np.zeros((8, 8, 3), np.uint8), "BMP"))
    claimed[18:26] = (60000).to_bytes(4, "little") * 2  # of which nothing is there
    (tmp_path / "huge.bmp").write_bytes(claimed)
    refused = worker("compress", tmp_path, tmp_path).do("huge.bmp", "huge.sdc")["error"]
    assert "60000x60000 is more than --max-megapixels 50" in refused
    latent = np.random.default_rng(0).normal(size=(4, 40, 40)).astype(np.float32)
    codec.save_file(codec.encode([latent])[0], tmp_path / "large.sdc")
    for command in ("decompress", "regenerate"):
        work = worker(command, tmp_path, tmp_path, max_megapixels=0.1)
        assert "SdcLimitError" in work.do("large.sdc", "large.png")["error"]


@torch.inference_mode()
def test_a_large_image_goes_through_tiles_as_if_it_were_whole(worker, tmp_path, monkeypatch):
    height, width = 301, 490  # neither of them a number of tiles, nor of latents
    pixels = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((width, height)))
    vae = worker("compress", tmp_path, tmp_path).vae
    whole = tiles.encode(vae, pixels)
    image = tiles.decode(vae, whole)
    monkeypatch.setattr(tiles, "MAX_WHOLE", 0)
    monkeypatch.setattr(tiles, "TILE", 32)
    latent = tiles.encode(vae, pixels)
    assert latent.shape == whole.shape == (1, 4, 37, 61)
    assert (latent - whole).norm() < 0.02 * whole.norm()
    tiled = tiles.decode(vae, whole)
    assert tiled.shape == image.shape == (1, 296, 488, 3) and tiled.dtype == image.dtype == torch.uint8
    assert (tiled.float() - image.float()).abs().mean() < 0.5


def test_graphs_that_say_nothing_give_nothing_and_no_error(worker, tmp_path):
    again = {"8": {**GRAPH["3"], "inputs": {**GRAPH["3"]["inputs"], "seed": 8, "latent_image": ["3", 0]}}}
    two = {**GRAPH, **again, "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}}
    same = {**GRAPH, "9": GRAPH["5"]}
    for name, graph, seed in (
        ("deep", "[" * 200_000, None),
        ("two", json.dumps(two), None),
        ("same", json.dumps(same), 7),
    ):
        info = PngImagePlugin.PngInfo()
        info.add_text("prompt", graph)
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"{name}.png", pnginfo=info)
        assert generation_of_file(Image.open(tmp_path / f"{name}.png")).values.get("seed") == seed
    work = worker("compress", tmp_path, tmp_path)
    assert work.do("deep.png", "deep.sdc").keys() == {"bytes", "bpp", "seconds"}
    assert "left out of prompt and settings: which of the Save nodes" in work.do("two.png", "two.sdc")["notes"]
    assert "prompt and settings: steps from KSampler #3" in work.do("same.png", "same.sdc")["notes"]
