"""SD Latent Quantize with the preset best: the learned codec, by size, by quality and with a mask."""

import re

import comfy.sd
import comfy.utils
import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from PIL import Image
from sdc_pack.codec import learned
from sdc_pack.codec.autoencoder import refinement, tiny_vae
from sdc_pack.codec.autoencoder.judge import Judge
from sdc_pack.codec.learned import encoder
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.inversion.strength import quantization_noise
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.previews.thumbnail import draw_thumbnail
from sdc_pack.nodes.save_sdc import SDCSave
from sdc_pack.nodes.sockets.sdc import about_lines
from sdc_pack.nodes.tiny import models

from dev import denoisers, families


@pytest.fixture(scope="module")
def photograph() -> dict:
    """A LATENT of 256x256 pixels: Eileen Collins, photographed by NASA, public domain."""
    pixels = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((256, 256), Image.Resampling.LANCZOS))
    return {"samples": torch.from_numpy(tiny_vae.encode_pixels(pixels))[None]}


def quantize(latent, **changes):
    settings = {"preset": "best", "colors": 64, "dither": "none", "dither_strength": 1.0, "seed": 0}
    return SDCLatentQuantize.execute(latent, **{**settings, "latent_format": "SD1.x", **changes})


def error(output, latent) -> float:
    return (output.result[1]["samples"] - latent["samples"]).square().mean().item()


@pytest.mark.parametrize(("aim", "most"), [({"max_bytes": 900}, 900), ({"bits_per_pixel": 0.1}, 819)])
def test_the_size_is_met_and_never_passed(photograph, aim, most):
    output = quantize(photograph, **aim)
    (image,), _, size, bits_per_pixel = output.result
    assert 0.95 * most < size == image.num_bytes <= most
    assert bits_per_pixel == pytest.approx(8 * size / 256**2)
    assert torch.equal(output.result[1]["samples"][0], torch.from_numpy(codec.decode(codec.load(image.data))))


def test_a_quality_is_one_for_every_image(photograph):
    coarse, fine = (quantize(photograph, quality=quality) for quality in (20, 80))
    assert error(fine, photograph) < 0.3 * error(coarse, photograph)
    assert fine.result[2] > 2 * coarse.result[2]
    for quality, stored in ((1, 0), (100, 255)):
        output = quantize(photograph, quality=quality)
        assert output.result[0][0].stored.quality_byte == stored
        assert output.ui["text"][0].endswith(f" · preset best · quality {quality}")


def test_it_is_nearer_than_a_palette_of_the_same_size(photograph):
    """The central claim, on a photograph that nothing was trained with."""
    palette = quantize(photograph, preset="custom", colors=64)
    best = quantize(photograph, max_bytes=palette.result[2])
    assert best.result[2] <= palette.result[2]
    assert error(best, photograph) < 0.6 * error(palette, photograph)
    smaller = quantize(photograph, max_bytes=palette.result[2] * 8 // 10)
    assert error(smaller, photograph) < error(palette, photograph)


def test_what_is_painted_white_is_kept_finer(photograph):
    mask = torch.zeros(1, 512, 512)  # of any size: it is scaled to the latent
    mask[:, 64:256, 128:320] = 1
    there = torch.nn.functional.adaptive_max_pool2d(mask, (32, 32))[0] > 0
    plain, masked = quantize(photograph, max_bytes=900), quantize(photograph, max_bytes=900, mask=mask)

    def inside(output):
        return (output.result[1]["samples"] - photograph["samples"])[0].square()[:, there].mean().item()

    assert masked.result[2] <= 900
    assert inside(masked) < 0.85 * inside(plain)
    with pytest.raises(ValueError, match="3 masks for 1 latents"):
        quantize(photograph, mask=torch.zeros(3, 8, 8))
    for gray in (0.0, 0.5):  # Load Image gives a black one where nothing was painted
        constant = quantize(photograph, max_bytes=900, mask=torch.full((1, 64, 64), gray))
        assert constant.result[0] == plain.result[0]
        assert any("Not used: mask, the same everywhere" in line for line in constant.ui["text"])
    assert not any("Not used: mask" in line for line in masked.ui["text"])


def test_a_batch_gives_each_image_the_size(photograph, monkeypatch):
    told = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: told.append((value, total)))
    two = {"samples": torch.cat([photograph["samples"], photograph["samples"].flip(-1)])}
    images, decoded, size, _ = quantize(two, max_bytes=700).result
    assert len(images) == 2 and all(0.94 * 700 < image.num_bytes <= 700 for image in images)
    assert decoded["samples"].shape == two["samples"].shape and told[-1] == (2, 2)


def test_saved_and_loaded_it_is_the_same(photograph, comfyui_folders):
    images, decoded, *_ = quantize(photograph, max_bytes=900).result
    clone = SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
    saved = clone.execute(images, "a", "none", prompt="a portrait")
    assert torch.equal(saved.result[1]["samples"], decoded["samples"])
    loaded = SDCLoad.execute("a_00001_.sdc [output]")
    assert torch.equal(loaded.result[0]["samples"], decoded["samples"]) and loaded.result[2] == "a portrait"
    assert re.search(r"preset best · quality \d+$", about_lines(images[0])[0])
    assert np.asarray(draw_thumbnail(images[0])).shape == (256, 256, 3)


def test_an_image_is_coded_and_decoded_once_up_to_the_file(photograph, comfyui_folders, monkeypatch):
    coded, decoded = [], []
    code, decode = encoder.LatentQuantizer.code, learned.decode_payload
    monkeypatch.setattr(encoder.LatentQuantizer, "code", lambda *given: coded.append(1) or code(*given))
    monkeypatch.setattr(learned, "decode_payload", lambda *given: decoded.append(1) or decode(*given))
    images = quantize({"samples": torch.cat([photograph["samples"], -photograph["samples"]])}, quality=50).result[0]
    assert len(coded) == len(decoded) == 2
    SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}}).execute(images, "a", "none", thumbnail=True)
    assert len(coded) == len(decoded) == 2


def test_auto_strength_follows_the_error_of_the_coder(model, prompt, photograph):
    """The finer the file, the less far the image is taken towards noise."""
    strengths = []
    denoisers.use_gaussian(model)  # what the model answers does not matter here
    for quality in (5, 60):
        sdc, decoded, *_ = quantize(photograph, quality=quality).result
        output = SDCDDIMInvert.execute(model, prompt(""), decoded, 50, 1.0, 1.0, auto_strength=True, sdc=sdc)
        strengths.append(len(output.result[1]))
        assert codec.estimate_error(sdc[0]) == pytest.approx(error_of(decoded, photograph), rel=0.5)
    assert strengths[0] > strengths[1]


def error_of(decoded, latent) -> float:
    return (decoded["samples"] - latent["samples"]).square().mean().sqrt().item()


SCALES = {"SD1.x": 0.18215, "SDXL": 0.13025, "SD3": 1.5305, "Flux": 0.3611}  # from LATENT to what models see


@pytest.mark.parametrize("family", SCALES)
def test_auto_strength_asks_the_coder_of_every_family(family):
    """The noise that stands for a file is the error that photographs have at its quality, as the model sees it."""
    model, _ = families.build(family)
    channels = codec.by_name(family).channels
    latent = {"samples": torch.randn(1, channels, 16, 16, generator=torch.Generator().manual_seed(0)) / SCALES[family]}
    noises = []
    for quality in (10, 90):
        sdc, decoded, *_ = quantize(latent, latent_format=family, quality=quality).result
        noises.append(quantization_noise(model, decoded, sdc))
        assert noises[-1] == pytest.approx(SCALES[family] * codec.estimate_error(sdc[0]), rel=1e-5)
    assert 1 > noises[0] > 2 * noises[1] > 0


def test_latent_formats_without_weights_get_the_next_best_preset_and_a_note(photograph, monkeypatch):
    monkeypatch.delitem(codec.learned.NEWEST, "SDXL")
    output = quantize(photograph, latent_format="SDXL")
    (image,) = output.result[0]
    expected = codec.encode(
        [photograph["samples"][0].numpy()], "custom", colors=256, dither="none", latent_format="SDXL"
    )[0]
    assert image == expected and image.latent_format == "SDXL"
    assert output.ui["text"][1] == "\u26a0 The preset best cannot encode SDXL latents; fine was used instead."


def test_too_few_bytes_are_told(photograph):
    with pytest.raises(ValueError, match="max_bytes is 40; even at its coarsest this latent takes"):
        quantize(photograph, max_bytes=40)


def test_a_thorough_image_is_as_large_and_looks_closer(monkeypatch):
    monkeypatch.setattr(refinement, "STEPS", 10)
    face = Image.fromarray(skimage.data.astronaut()).crop((150, 0, 400, 250)).resize((128, 128))
    latent = {"samples": torch.from_numpy(tiny_vae.encode_pixels(np.asarray(face)))[None]}
    image = torch.from_numpy(np.asarray(face).copy())[None] / 255
    fast, thorough = (quantize(latent, max_bytes=330, image=image, effort=each) for each in ("fast", "thorough"))
    (before,), (after,) = fast.result[0], thorough.result[0]
    assert 0.9 * before.num_bytes < after.num_bytes <= 330
    judge, errors = Judge().eval(), []
    for each in (before, after):
        shown = torch.from_numpy(tiny_vae.decode_latent(codec.decode(each)))[None] / 255
        with torch.no_grad():
            errors.append(judge(shown.movedim(-1, 1), image.movedim(-1, 1)).item())
    assert errors[1] < 0.95 * errors[0]
    assert torch.equal(thorough.result[1]["samples"][0], torch.from_numpy(codec.decode(after)))


def test_thorough_looks_at_the_image_itself(photograph, monkeypatch):
    """Connected, it is what the file is refined for; a batch needs as many, or one for all."""
    targets = []

    def refine(latent, pixels, *_):
        targets.append(pixels)
        return latent

    monkeypatch.setattr(refinement, "refine", refine)
    corner = photograph["samples"][..., :8, :8]  # what is judged after refining takes time by its pixels
    image = torch.rand(1, 67, 64, 4)
    quantize({"samples": corner}, effort="thorough", image=image, bits_per_pixel=1.0)
    assert np.array_equal(targets[0], (image[0, 1:65, :, :3] * 255).round().to(torch.uint8).numpy())
    quantize({"samples": corner.repeat(2, 1, 1, 1)}, effort="thorough", bits_per_pixel=1.0)
    assert np.abs(targets[1].astype(int) - tiny_vae.decode_latent(corner[0].numpy())).max() <= 1
    assert np.array_equal(targets[1], targets[2])
    with pytest.raises(ValueError, match="There are 2 images for 3 latents"):
        quantize({"samples": corner.repeat(3, 1, 1, 1)}, effort="thorough", image=torch.rand(2, 64, 64, 3))


def test_thorough_is_not_for_images_that_another_vae_decodes(photograph, monkeypatch):
    vae = comfy.sd.VAE(
        sd={
            name: value.flip(0) if value.ndim > 1 and len(value) == 64 else value
            for name, value in models.vae().items()
        }
    )
    monkeypatch.setattr(refinement, "encode_refined", None)
    fast = quantize(photograph, vae=vae)
    output = quantize(photograph, vae=vae, effort="thorough")
    assert output.result[0] == fast.result[0]
    assert any("this one is stored for your VAE of SD 1.x" in line for line in output.ui["text"])


def test_thorough_says_where_nothing_can_be_refined(photograph):
    fast = quantize(photograph, preset="paper")
    output = quantize(photograph, preset="paper", effort="thorough")
    assert output.result[0] == fast.result[0]
    assert "\u26a0 Not used: effort. thorough is for best, not for paper." in output.ui["text"]
    others = {"samples": torch.randn(1, 16, 16, 16, generator=torch.manual_seed(0))}
    output = quantize(others, latent_format="Flux", bits_per_pixel=1.0, effort="thorough")
    assert any("connect the VAE of Flux to vae" in line for line in output.ui["text"])
