"""docs/models.md says of every model that ComfyUI knows whether its latents go into a file, and how."""

import re
from pathlib import Path

import comfy.latent_formats
import comfy.supported_models
import pytest
import sdc_pack.codec as codec
from comfyui_version import __version__ as comfyui_version
from sdc_pack.nodes.latents.formats import format_of_class

ROOT = Path(__file__).parents[3]
WALKED = 0, 30, 0  # the ComfyUI that the page is about; an older one lacks some of its classes
REASONS = {
    "pixel space": lambda known: known.latent_channels == 3 and known.spacial_downscale_ratio == 1,
    "audio": lambda known: known.latent_dimensions == 1 or known is comfy.latent_formats.ACEAudio,
    "3D": lambda known: known.latent_dimensions == 1 or known is comfy.latent_formats.TripoSplat,
    "no images": lambda known: known is comfy.latent_formats.LatentFormat,
}


def rows(heading: str) -> list[dict[str, str]]:
    """The table under a heading, a dict a row."""
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    table = re.search(rf"^## {heading}\n\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    header, _, *lines = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def classes(row: dict[str, str]) -> list[str]:
    return row["in ComfyUI"].split(", ")


def test_every_model_of_comfyui_is_in_one_of_the_tables():
    """Who adds one decides: a latent format of files, or a reason why not."""
    listed = [name for heading in ("Supported", "Not supported") for row in rows(heading) for name in classes(row)]
    assert len(listed) == len(set(listed)) > 90
    models = {model.__name__ for model in comfy.supported_models.models}
    assert models <= set(listed)
    if tuple(map(int, comfyui_version.split(".")[:3])) >= WALKED:
        assert set(listed) == models


@pytest.mark.parametrize("row", rows("Supported"), ids=lambda row: row["model"])
def test_what_a_row_says_of_a_latent_format_is_so(row):
    known = codec.by_name(row["latent format"])
    assert (row["channels"], row["pixels"]) == (str(known.channels), str(known.spatial_factor))
    assert row["frames"] == ("yes" if known.dimensions == 3 else "no")
    assert row["best without VAE"] == codec.usable_preset("best", known.name)[0].name
    for template in re.findall(r"`(sdc_\w+)`", row["template"]):
        assert (ROOT / "workflows" / f"{template}.json").is_file()
    for name in classes(row):
        if model := getattr(comfy.supported_models, name, None):
            assert format_of_class(model.latent_format) == known.name


def test_playground_changes_its_latent_format_by_itself_and_remains_sdxl():
    config = comfy.supported_models.SDXL({"adm_in_channels": 2816})
    config.model_type({"edm_mean": None, "edm_std": None})
    assert type(config.latent_format) is comfy.latent_formats.SDXL_Playground_2_5
    assert format_of_class(type(config.latent_format)) == "SDXL"


@pytest.mark.parametrize("row", rows("Not supported"), ids=lambda row: row["model"])
def test_the_reason_why_a_model_is_not_supported_is_so(row):
    reason = row["why"].partition(":")[0]
    for name in classes(row):
        if model := getattr(comfy.supported_models, name, None):
            assert format_of_class(model.latent_format) is None
            assert REASONS[reason](model.latent_format), name
