"""SDC Regenerate and Decode SDC: the two nodes of the paper in one, and images of their true size."""

import nodes as comfy_nodes
import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.decode import SDCDecode
from sdc_pack.nodes.images.sizes import restore_size
from sdc_pack.nodes.latents.arrays import to_latent
from sdc_pack.nodes.regenerate import SDCRegenerate
from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny


def encoded(width=96, height=64, **changes) -> codec.EncodedImage:
    shape = (4, max(1, height // 8), max(1, width // 8))
    latent = np.random.default_rng(3).normal(size=shape).astype(np.float32) / 0.18215
    return codec.encode(
        [latent], "custom", **{"colors": 16, "dither": "none", "width": width, "height": height, **changes}
    )[0]


def test_does_what_the_two_nodes_do(model, prompt, control_net, vae):
    sdc, words = [encoded()], prompt("a cat")
    image, before, latent = SDCRegenerate.execute(sdc, model, words, vae, control_net, steps=20).result
    start = to_latent(sdc)
    decoded = comfy_nodes.VAEDecode().decode(vae, start)[0]
    noise, sigmas, inverted = SDCDDIMInvert.execute(
        model, words, start, 20, 1.0, 1.0, auto_strength=True, sdc=sdc
    ).result
    clone = SDCRegenerateCanny.PREPARE_CLASS_CLONE({})
    painted = clone.execute(
        model, words, decoded, inverted, noise, sigmas, 1, 2,
        control_net=control_net, thresholds="auto", canny_strength=0.3,
    ).result[0]  # fmt: skip
    assert torch.equal(latent["samples"], painted["samples"]) and torch.equal(before, decoded)
    assert torch.equal(image, comfy_nodes.VAEDecode().decode(vae, painted)[0])
    assert not torch.equal(image, before)


def test_without_a_control_net_the_model_alone_repaints(model, prompt, control_net, vae):
    free = SDCRegenerate.execute([encoded()], model, prompt(""), vae, steps=5, auto_strength=False).result[2]
    loose = SDCRegenerate.execute(
        [encoded()], model, prompt(""), vae, control_net, steps=5, auto_strength=False, canny_strength=0.0
    ).result[2]
    held = SDCRegenerate.execute(
        [encoded()], model, prompt(""), vae, control_net, steps=5, auto_strength=False, canny_strength=1.0
    ).result[2]
    assert torch.equal(free["samples"], loose["samples"]) and not torch.equal(free["samples"], held["samples"])


def test_auto_strength_counts_and_off_takes_strength(model, prompt, vae, count_calls):
    calls = count_calls(model)
    found = []
    for settings in ({}, {"auto_strength": False, "strength": 1.0}, {"auto_strength": False, "strength": 0.0}):
        calls.clear()
        output = SDCRegenerate.execute([encoded()], model, prompt(""), vae, steps=20, **settings)
        found.append(len(calls))
    assert 0 < found[0] < found[1] == 40 and found[2] == 0
    assert torch.equal(output.result[0], output.result[1])  # at strength 0 it only decodes


def test_a_batch_gives_a_image_for_each(model, prompt, control_net, vae):
    other = codec.encode([codec.decode(encoded())[:, ::-1].copy()], "custom", colors=8, dither="none")[0]
    image, before, latent = SDCRegenerate.execute([encoded(), other], model, prompt(""), vae, control_net, steps=4)
    assert image.shape == before.shape == (2, 64, 96, 3) and latent["samples"].shape[0] == 2


@pytest.mark.parametrize(("width", "height"), [(137, 99), (64, 72)])
def test_images_come_back_in_their_true_size(model, prompt, vae, width, height):
    image = torch.rand(1, height, width, 3)
    kept = comfy_nodes.VAEEncode().encode(vae, image)[0]["samples"][0]
    sdc = [codec.encode([kept.float().numpy()], "custom", colors=4, dither="none", width=width, height=height)[0]]
    (shown,) = SDCDecode.execute(sdc, vae).result
    assert shown.shape == image.shape
    decoded = comfy_nodes.VAEDecode().decode(vae, to_latent(sdc))[0]
    top, left = height % 8 // 2, width % 8 // 2  # where VAE Encode begins to keep
    assert torch.equal(shown[:, top:][:, : height // 8 * 8, left:][:, :, : width // 8 * 8], decoded)
    settings = {"steps": 2, "auto_strength": False, "strength": 0.5}
    output = SDCRegenerate.execute(sdc, model, prompt(""), vae, **settings)
    assert output.result[0].shape == output.result[1].shape == image.shape
    assert torch.equal(output.result[1], shown) and f"{width}x{height}" in output.ui["text"][0]


def test_restored_rows_are_those_beside_them_and_padding_is_cut_off():
    image = torch.arange(64.0).reshape(1, 8, 8, 1)
    small = np.arange(4.0, dtype=np.float32).reshape(4, 1, 1)
    trimmed, padded = (
        codec.encode([small], "custom", width=width, height=height)[0] for width, height in ((11, 9), (5, 7))
    )
    wide = restore_size(image, [trimmed])[0, :, :, 0]
    assert wide.shape == (9, 11)
    assert torch.equal(wide[:8, 1:9], image[0, :, :, 0]) and torch.equal(wide[8], wide[7])
    assert (
        torch.equal(wide[:, 0], wide[:, 1])
        and torch.equal(wide[:, 9], wide[:, 8])
        and torch.equal(wide[:, 10], wide[:, 8])
    )
    assert torch.equal(restore_size(image, [padded]), image[:, :7, :5])
    assert restore_size(image, [padded, trimmed]) is image
    large = torch.zeros(1, 16, 16, 3)  # scaled up since
    assert restore_size(large, [trimmed]) is large


def test_a_vae_of_another_family_is_refused_by_name(vae, model, prompt):
    latent = np.zeros((16, 8, 8), np.float32) + np.arange(8, dtype=np.float32)
    sdc = [codec.encode([latent], "custom", latent_format="Flux", colors=4)[0]]
    with pytest.raises(ValueError, match="Flux latent with 16 channels.*VAE decodes 4"):
        SDCDecode.execute(sdc, vae)
    with pytest.raises(ValueError, match="16 channels"):
        SDCRegenerate.execute(sdc, model, prompt(""), vae)
