"""Latents of models that files have no name for: each is refused by a message that says what it is and what to do."""

import comfy.latent_formats
import pytest
import torch
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize


def quantize(shape, latent_format="auto", **inputs):
    latent = {"samples": torch.zeros(shape)}
    return SDCLatentQuantize.execute(latent, "clean", 64, "none", 0.0, 0, latent_format, **inputs)


class Model:
    """What a MODEL says of its latents, as ComfyUI's ModelPatcher does."""

    def __init__(self, latent_format):
        self.latent_format = latent_format

    def get_model_object(self, name):
        return getattr(self, name)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 128, 32, 32), "128 channels, like those of Flux.2 and LTX-Video.*SD1.x, SDXL, SD3, Flux"),
        ((1, 12, 32, 32), "12 channels, like those of Mochi"),
        ((1, 3, 32, 32), "3 channels. .sdc files support"),
        ((1, 16, 21, 60, 104), "video model, with 21 frames.*Decode it with its own VAE"),
        ((1, 16, 1, 60, 104), "video model, with 1 frames"),
        ((1, 64, 1024), "audio model"),
        ((1, 4, 32, 32), "both SD1.x and SDXL have.*Connect the VAE"),
        ((1, 16, 32, 32), "both SD3 and Flux have.*Connect the VAE"),
    ],
)
def test_what_is_not_known_is_said(shape, message):
    with pytest.raises(ValueError, match=message):
        quantize(shape)


@pytest.mark.parametrize("family", ["SC_Prior", "SC_B", "Flux2"])
def test_a_model_of_another_family_is_no_guess(family):
    model = Model(getattr(comfy.latent_formats, family)())
    channels = model.latent_format.latent_channels
    with pytest.raises(ValueError, match="latent format that .sdc files do not support.*SD1.x, SDXL, SD3, Flux"):
        quantize((1, channels, 24, 24), vae=model)


def test_another_label_than_the_channels_allow_is_refused():
    with pytest.raises(ValueError, match="128 channels, but Flux latents have 16"):
        quantize((1, 128, 24, 24), "Flux")
