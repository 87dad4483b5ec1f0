"""Which latent format a latent has: chosen, known of a MODEL, measured of a VAE, or an error that says what to do."""

import os
from pathlib import Path

import comfy.latent_formats
import comfy.sd
import folder_paths
import nodes as comfy_nodes
import pytest
import sdc_pack.codec as codec
import torch
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.latents.arrays import to_latent
from sdc_pack.nodes.latents.formats import format_of_vae, settle_format
from sdc_pack.nodes.tiny import models as small_models

from dev import families

VAE_APPROX = Path(os.environ["SDC_SHARED"]) / "models" / "vae_approx"


def latent_of(channels: int, **more) -> dict:
    return {"samples": torch.randn(1, channels, 4, 6, generator=torch.Generator().manual_seed(channels)), **more}


def quantize(latent, latent_format="auto", vae=None):
    return SDCLatentQuantize.execute(latent, "clean", 64, "none", 1.0, 0, latent_format, vae=vae).result[0][0]


@pytest.mark.parametrize(
    ("family", "expected"),
    [("SD1.x", "SD1.x"), ("SD2.x v", "SD1.x"), ("SDXL", "SDXL"), ("SD3", "SD3"), ("Flux", "Flux")],
)
def test_a_model_says_which_family_it_is(family, expected):
    assert family in families.FAMILIES
    model, _ = families.build(family)
    assert quantize(latent_of(codec.by_name(expected).channels), vae=model).latent_format == expected


@pytest.mark.skipif(not VAE_APPROX.is_dir(), reason="no models/vae_approx under SDC_SHARED")
@pytest.mark.parametrize(
    ("name", "expected"), [("taesd", "SD1.x"), ("taesdxl", "SDXL"), ("taesd3", "SD3"), ("taef1", "Flux")]
)
def test_a_vae_is_known_by_its_colors(name, expected):
    folder_paths.add_model_folder_path("vae_approx", str(VAE_APPROX))
    vae = comfy_nodes.VAELoader().load_vae(name)[0]
    assert format_of_vae(vae) == expected
    assert quantize(latent_of(vae.latent_channels), vae=vae).latent_format == expected


def test_the_small_vae_of_the_pack_is_of_sd1():
    vae = comfy.sd.VAE(sd=small_models.vae())
    assert format_of_vae(vae) == "SD1.x"
    with pytest.raises(ValueError, match="The connected VAE says SD1.x and latent_format says SDXL"):
        quantize(latent_of(4), "SDXL", vae)


def test_a_vae_that_knows_no_colors_is_of_no_family():
    """That of the pack with the order of its weights mixed up."""
    random = torch.Generator().manual_seed(0)
    weights = {
        name: value.flatten()[torch.randperm(value.numel(), generator=random)].reshape(value.shape)
        for name, value in small_models.vae().items()
    }
    vae = comfy.sd.VAE(sd=weights)
    assert format_of_vae(vae) is None
    with pytest.raises(ValueError, match="latent format that .sdc files do not support"):
        quantize(latent_of(4), vae=vae)
    assert quantize(latent_of(4), "SD1.x", vae).latent_format == "SD1.x"  # who chooses knows better


def test_a_latent_out_of_a_file_keeps_its_family():
    latent = to_latent([codec.encode([latent_of(4)["samples"][0].numpy()], "custom", latent_format="SDXL")[0]])
    assert quantize(latent).latent_format == "SDXL"
    with pytest.raises(ValueError, match="The latent itself says SDXL and latent_format says SD1.x"):
        quantize(latent, "SD1.x")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 4, 4, 6), "4 channels, which both SD1.x and SDXL have.*Connect the VAE"),
        ((1, 16, 4, 6), "16 channels, which both SD3 and Flux have.*Connect the VAE"),
        ((1, 128, 4, 6), "128 channels, like those of Flux.2 and LTX-Video.*SD1.x, SDXL, SD3, Flux"),
        ((1, 12, 4, 6), "12 channels, like those of Mochi"),
        ((1, 3, 4, 6), "3 channels. .sdc files support"),
        ((1, 16, 21, 60, 104), "video model, with 21 frames.*Decode it with its own VAE"),
        ((1, 16, 1, 60, 104), "video model, with 1 frames"),
        ((1, 64, 1024), "audio model"),
    ],
)
def test_what_is_not_known_is_an_error_that_says_what_to_do(shape, message):
    with pytest.raises(ValueError, match=message):
        quantize({"samples": torch.zeros(shape)})


class Model:
    """A MODEL, as far as it says which latent format it has."""

    def __init__(self, latent_format):
        self.latent_format = latent_format

    def get_model_object(self, name):
        return getattr(self, name)


@pytest.mark.parametrize("name", ["SC_Prior", "SC_B", "Flux2"])
def test_a_model_of_another_latent_format_is_refused(name):
    model = Model(getattr(comfy.latent_formats, name)())
    with pytest.raises(ValueError, match="latent format that .sdc files do not support.*SD1.x, SDXL, SD3, Flux"):
        quantize(latent_of(model.latent_format.latent_channels), vae=model)


def test_a_choice_that_the_channels_rule_out_is_refused():
    with pytest.raises(ValueError, match="16 channels, like SD3 and Flux, but SD1.x latents have 4"):
        settle_format("SD1.x", latent_of(16))
    with pytest.raises(ValueError, match="128 channels, but Flux latents have 16"):
        settle_format("Flux", latent_of(128))


def test_an_explicit_choice_stays():
    for name, channels in (("SD1.x", 4), ("SDXL", 4), ("SD3", 16), ("Flux", 16)):
        assert quantize(latent_of(channels), name).latent_format == name
