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
from sdc_pack.nodes.latents.formats import (
    comfy_format,
    format_of_class,
    format_of_model,
    format_of_vae,
    settle_format,
)
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
    ("name", "expected"),
    [("taesd", "SD1.x"), ("taesdxl", "SDXL"), ("taesd3", "SD3"), ("taef1", "Flux"), ("taef2", "Flux2")],
)
def test_a_vae_is_known_by_its_colors(name, expected):
    folder_paths.add_model_folder_path("vae_approx", str(VAE_APPROX))
    vae = comfy_nodes.VAELoader().load_vae(name)[0]
    assert format_of_vae(vae) == expected
    assert quantize(latent_of(vae.latent_channels), vae=vae).latent_format == expected


@pytest.mark.parametrize(("name", "expected"), [("Wan21", "Wan21"), ("HunyuanVideo", "HunyuanVideo"), ("LTXV", None)])
def test_a_vae_of_video_is_known_by_its_network(name, expected):
    """But not where two formats share one, and the colors of this random one tell nothing."""
    assert format_of_vae(families.build_vae(name)) == expected


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
    with pytest.raises(ValueError, match="cannot tell.* it may be SD1.x, SDXL, SC_B or SD_X4: set latent_format"):
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
        ((1, 4, 4, 6), "4 channels, which SD1.x, SDXL, SC_B and SD_X4 have.*Connect the VAE"),
        ((1, 16, 4, 6), "16 channels, which SD3, Flux and SC_Prior have.*Connect the VAE"),
        ((1, 16, 1, 4, 6), "16 channels and 1 frame, which Wan21, HunyuanVideo, .* have.*Connect the VAE"),
        ((1, 32, 21, 4, 6), "32 channels and 21 frames, which both HunyuanVideo15 and HunyuanImage21Refiner have"),
        ((1, 32, 4, 6), "32 channels, but latents of HunyuanVideo15 .* have 32 and frames"),
        ((1, 4, 2, 4, 6), "4 channels and 2 frames, but latents of SD1.x.* have 4. Connect the latent as"),
        ((1, 3, 4, 6), "3 channels: like the pixels of a model without VAE .Chroma Radiance, HiDream-O1, PixelDiT"),
        ((1, 8, 4, 6), "8 channels: like audio"),
        ((1, 5, 4, 6), "5 channels. .sdc files support latents with 4, 12, 16, 24, 32, 48, 64 and 128 channels"),
    ],
)
def test_what_is_not_known_is_an_error_that_says_what_to_do(shape, message):
    with pytest.raises(ValueError, match=message):
        settle_format("auto", {"samples": torch.zeros(shape)})


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 128, 4, 6), "Flux2"), ((1, 64, 4, 6), "HunyuanImage21"), ((1, 12, 7, 4, 6), "Mochi"),
        ((1, 48, 1, 4, 6), "Wan22"), ((1, 24, 7, 4, 6), "MiniMaxH3Video"),
    ],
)  # fmt: skip
def test_a_shape_that_one_format_alone_has_is_enough(shape, expected):
    assert settle_format("auto", {"samples": torch.zeros(shape)}) == expected


def test_ComfyUIs_shapes_of_latents_are_those_of_files():
    """What its class says of a latent, after the scaling that it does for the model."""
    for known in codec.LATENT_FORMATS:
        comfy_class = comfy_format(known.name)
        assert format_of_class(type(comfy_class)) == known.name
        shape = (known.channels, 4, 6) if known.dimensions == 2 else (known.channels, 1, 4, 6)
        scaled = comfy_class.process_in(torch.zeros(1, *shape))
        assert (scaled.shape[1], scaled.ndim - 2) == (comfy_class.latent_channels, comfy_class.latent_dimensions)
        if known.name not in ("SD_X4", "HunyuanImage21Refiner"):  # ComfyUI's class leaves it at the default there
            assert known.spatial_factor == comfy_class.spacial_downscale_ratio


class Model:
    """A MODEL, as far as it says which latent format it has."""

    def __init__(self, latent_format):
        self.latent_format = latent_format

    def get_model_object(self, name):
        return getattr(self, name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ChromaRadiance", "the pixels of a model without VAE"),
        ("ACEAudio", "audio"),
        ("Hunyuan3Dv2", "of audio or of 3D"),
    ],
)
def test_a_model_of_another_latent_format_is_refused(name, reason):
    model = Model(getattr(comfy.latent_formats, name)())
    latent = {"samples": torch.zeros(1, model.latent_format.latent_channels, 4, 6)}
    with pytest.raises(ValueError, match=f"latent format that .sdc files do not support: .*{reason}.*docs/models.md"):
        settle_format("auto", latent, model)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SDXL_Playground_2_5", "SDXL"), ("CogVideoX1_5", "CogVideoX"), ("MiniMaxH3AV", "MiniMaxH3Video"),
     ("LTXAV", "LTXAV"), ("Wan21", "Wan21")],
)  # fmt: skip
def test_a_model_that_scales_the_latents_of_another_by_itself_has_its_format(name, expected):
    assert format_of_model(Model(getattr(comfy.latent_formats, name)())) == expected


def test_a_choice_that_the_channels_rule_out_is_refused():
    with pytest.raises(ValueError, match="16 channels, like SD3, Flux and SC_Prior, but SD1.x latents have 4"):
        settle_format("SD1.x", latent_of(16))
    with pytest.raises(ValueError, match="128 channels, like Flux2, but Flux latents have 16"):
        settle_format("Flux", latent_of(128))


def test_an_explicit_choice_stays():
    for name, channels in (("SD1.x", 4), ("SDXL", 4), ("SD3", 16), ("Flux", 16)):
        assert quantize(latent_of(channels), name).latent_format == name
