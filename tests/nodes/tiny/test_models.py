"""The project's trained models through ComfyUI's own loaders."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.tiny import install

from benchmarks.harness.regenerator import BEST, EXACT, Regenerator

SHARED = Path(os.environ["SDC_SHARED"])


@pytest.fixture(scope="module")
def loaded():
    """(model, clip, vae) of the installed checkpoint."""
    import nodes

    return nodes.CheckpointLoaderSimple().load_checkpoint(install.NAMES["checkpoint"])[:3]


@pytest.fixture(scope="module")
def controlnet():
    import nodes

    return nodes.ControlNetLoader().load_controlnet(install.NAMES["controlnet"])[0]


@pytest.fixture(scope="module")
def narrow():
    """(denoiser, ControlNet) as they were trained."""
    from dev.train import networks

    made = []
    for network, file in ((networks.UNet(), "unet"), (networks.ControlNet(), "canny")):
        weights = load_file(tiny_vae.WEIGHTS / f"sdc_tiny_{file}.safetensors")
        network.load_state_dict({name: value.float() for name, value in weights.items()})
        made.append(network.eval().requires_grad_(False))
    return made


@torch.inference_mode()
def test_padded_models_compute_what_the_narrow_ones_do(loaded, controlnet, narrow):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 4, 24, 16, generator=generator)
    labels, context = torch.tensor([3, 700]), torch.randn(2, 77, 768, generator=generator)
    edges = (torch.rand(2, 3, 192, 128, generator=generator) > 0.9).float()
    unet, control = narrow
    wide, wide_control = loaded[0].model.diffusion_model, controlnet.control_model.float()
    assert wide.input_blocks[0][0].weight.shape[0] == 320
    torch.testing.assert_close(wide(z, labels.float(), context=context), unet(z, labels), rtol=0, atol=1e-5)

    skips, middle = control(z, labels, edges)
    found = wide_control(x=z, hint=edges, timesteps=labels.float(), context=context)
    assert max(skip.abs().max() for skip in skips) > 1e-3  # it was trained
    width = middle.shape[1]
    for ours, theirs in zip((*skips, middle), (*found["output"], *found["middle"]), strict=True):
        torch.testing.assert_close(theirs[:, :width], ours, rtol=1e-5, atol=1e-5)
        assert not theirs[:, width:].any()
    together = {"output": list(found["output"]), "middle": list(found["middle"])}
    theirs = wide(z, labels.float(), context=context, control=together)
    torch.testing.assert_close(theirs, unet(z, labels, (skips, middle)), rtol=0, atol=2e-5)


def test_autoencoder_is_the_one_of_the_codec(loaded):
    import nodes
    import skimage.data
    from sdc_pack.codec.autoencoder import tiny_vae

    pixels = skimage.data.astronaut()[100:228, 150:310]
    image = torch.from_numpy(pixels / np.float32(255))[None]
    latent = nodes.VAEEncode().encode(loaded[2], image)[0]
    np.testing.assert_allclose(latent["samples"][0].numpy(), tiny_vae.encode_pixels(pixels), atol=1e-4)
    shown = nodes.VAEDecode().decode(loaded[2], latent)[0][0]
    assert np.abs(shown.numpy() * 255 - tiny_vae.decode_latent(latent["samples"][0].numpy())).max() <= 1


def test_text_encoder_answers_every_prompt_alike(loaded):
    import nodes

    answers = [nodes.CLIPTextEncode().encode(loaded[1], text)[0] for text in ("", "a cat (on: 1.3) a mat" * 40)]
    assert all(torch.isfinite(answer[0][0]).all() for answer in answers)
    assert torch.equal(answers[0][0][0][:, :77], answers[1][0][0][:, :77])
    assert torch.isfinite(answers[0][0][1]["pooled_output"]).all()


@pytest.fixture(scope="module")
def regenerator():
    return Regenerator(install.NAMES["checkpoint"], install.NAMES["controlnet"])


@pytest.fixture(scope="module")
def photographs(regenerator):
    """(pixels, latent) of photographs of scikit-image, (H, W, 3) uint8."""
    import nodes
    import skimage.data

    found = []
    with torch.inference_mode():
        for original in (skimage.data.astronaut(), skimage.data.chelsea()[2:298, 1:449]):
            image = torch.from_numpy(original / np.float32(255))[None]
            found.append((original, nodes.VAEEncode().encode(regenerator.vae, image)[0]["samples"][0].numpy()))
    return found


def regenerate(regenerator, photographs, preset: str, setting) -> list[tuple]:
    """(original, decoded, regenerated) of each, through the nodes, with the narrow networks."""
    import nodes
    from sdc_pack import codec
    from sdc_pack.nodes.comparison import metrics

    def decode(latent):
        image = nodes.VAEDecode().decode(regenerator.vae, {"samples": torch.from_numpy(latent)[None]})[0]
        return metrics.to_pixels(image[0])

    found = []
    with torch.inference_mode():
        for original, latent in photographs:
            stored = codec.decode(codec.encode([latent], preset)[0])
            decoded = decode(stored)
            found.append((original, decoded, decode(regenerator.run(stored, decoded, setting)[0])))
    return found


@pytest.fixture(scope="module")
def regenerated(regenerator, photographs):
    return regenerate(regenerator, photographs, "paper", BEST)


def test_regeneration_brings_the_decoded_image_nearer_to_the_photograph(regenerated):
    from sdc_pack.nodes.comparison import metrics

    for metric in (metrics.ssim, metrics.ms_ssim):
        gains = [metric(original, after) - metric(original, before) for original, before, after in regenerated]
        assert min(gains) > -0.005 and np.mean(gains) > 0.003, (metric.__name__, gains)


@pytest.mark.skipif(not (SHARED / "models" / "lpips").is_dir(), reason="no models/lpips under SDC_SHARED")
@torch.inference_mode()
def test_regeneration_looks_nearer_to_the_photograph(regenerated):
    from sdc_pack.nodes.comparison import metrics

    lpips = metrics.load_lpips([SHARED / "models" / "lpips"], "alex")
    changes = [lpips(original, after) / lpips(original, before) - 1 for original, before, after in regenerated]
    assert np.mean(changes) < -0.05, changes


@pytest.mark.skipif(not (SHARED / "models" / "lpips").is_dir(), reason="no models/lpips under SDC_SHARED")
@torch.inference_mode()
def test_regeneration_of_the_learned_codec_harms_nothing(regenerator, photographs):
    """By the exact pair: by Eq. (1), LPIPS would rise by a tenth."""
    from sdc_pack.nodes.comparison import metrics

    lpips = metrics.load_lpips([SHARED / "models" / "lpips"], "alex")
    for original, decoded, after in regenerate(regenerator, photographs, "best", EXACT):
        assert not np.array_equal(decoded, after)
        assert lpips(original, after) < 1.005 * lpips(original, decoded)
        assert metrics.psnr(original, after) > metrics.psnr(original, decoded) - 0.05
        assert metrics.ssim(original, after) > metrics.ssim(original, decoded) - 0.002


@pytest.mark.skipif(not (SHARED / "models" / "vae_approx").is_dir(), reason="no models/vae_approx under SDC_SHARED")
@torch.inference_mode()
def test_the_autoencoder_knows_what_files_give_back():
    """Beside TAESD, from whose weights it was trained with the codec in between."""
    import skimage.data
    from sdc_pack import codec
    from sdc_pack.nodes.comparison import metrics

    from dev.train import data

    lpips = metrics.load_lpips([SHARED / "models" / "lpips"], "alex")

    def latent_of(encoder, pixels):
        return encoder(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0].numpy() / tiny_vae.SCALE

    def measure(pixels, latent, decoder, **settings):
        z = torch.from_numpy(codec.decode(codec.encode([latent], **settings)[0]))[None] * tiny_vae.SCALE
        decoded = decoder(z)[0].permute(1, 2, 0)
        return lpips(pixels, decoded), metrics.psnr(pixels, decoded)

    autoencoders = [data.halves(SHARED, name) for name in ("tiny", "taesd")]
    for original in (skimage.data.astronaut(), skimage.data.chelsea()[:296, :448].copy()):
        known = [(latent_of(encoder, original), decoder) for encoder, decoder in autoencoders]
        for settings, least in ({"bits_per_pixel": 0.095}, 0.02), ({"preset": "paper"}, 0.1):
            (ours, our_psnr), (theirs, their_psnr) = (measure(original, *each, **settings) for each in known)
            assert ours < (1 - least) * theirs and our_psnr > their_psnr - 0.1, (settings, ours, theirs)


def test_weights_stay_within_their_budget():
    assert sum(path.stat().st_size for path in tiny_vae.WEIGHTS.iterdir() if path.is_file()) <= 24e6
    assert sum(path.stat().st_size for path in (tiny_vae.WEIGHTS / "learned").iterdir()) <= 6e6
