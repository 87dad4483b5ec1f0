"""Both ways with what ComfyUI's own nodes put on a MODEL: the table in docs/inversion.md, row by row."""

import importlib
import re
from pathlib import Path

import comfy.sd
import pytest
import torch
from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced
from comfy_extras.nodes_model_merging import ModelMergeSimple
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.inversion.identity import identity
from sdc_pack.nodes.inversion_sampler import SDCInversionSampler
from sdc_pack.nodes.inversion_sigmas import SDCInversionSigmas
from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny

from dev import families

from .sampling import basic, distance

DOCS = (Path(__file__).parents[3] / "docs" / "inversion.md").read_text(encoding="utf-8")
# Node as the docs call it: its module in comfy_extras, its class, and its settings.
CACHES = {
    "EasyCache": ("easycache", "EasyCacheNode", 0.2, 0.15, 0.95, False),
    "LazyCache": ("easycache", "LazyCacheNode", 0.2, 0.15, 0.95, False),
}
DRAWING = {"ToMe": ("tomesd", "TomePatchModel", 0.3), "HyperTile": ("hypertile", "HyperTile", 32, 3, 0, False)}
PURE = {
    "Self-Attention Guidance": ("sag", "SelfAttentionGuidance", 0.5, 2.0),
    "Perturbed-Attention Guidance": ("pag", "PerturbedAttentionGuidance", 3.0),
    "NAG": ("nag", "NAGuidance", 5.0, 0.25, 1.5),
    "FreeU": ("freelunch", "FreeU_V2", 1.3, 1.4, 0.9, 0.2),
    "Kohya Deep Shrink": ("model_downscale", "PatchModelAddDownscale", 1, 2.0, 0.0, 0.35, True, "bicubic", "bicubic"),
    "RescaleCFG": ("model_advanced", "RescaleCFG", 0.7),
    "CFGNorm": ("cfg", "CFGNorm", 1.0),
    "CFGZeroStar": ("cfg", "CFGZeroStar"),
    "TCFG": ("tcfg", "TCFG"),
    "FreSca": ("fresca", "FreSca", 1.0, 1.25, 20),
    "Mahiro": ("mahiro", "Mahiro"),
    "APG": ("apg", "APG", 1.0, 5.0, 0.0),
    "Epsilon Scaling": ("eps", "EpsilonScaling", 1.005),
    "TSR": ("eps", "TemporalScoreRescaling", 0.95, 1.0),
    "Differential Diffusion": ("differential_diffusion", "DifferentialDiffusion", 1.0),
}
ROWS = {**CACHES, **DRAWING, **PURE}


def patched(model, module: str, name: str, *settings):
    node = getattr(importlib.import_module(f"comfy_extras.nodes_{module}"), name)
    output = node.execute(model, *settings) if hasattr(node, "execute") else node().patch(model, *settings)
    return getattr(output, "result", output)[0]


@pytest.fixture
def model(small):
    return small.clone()


@pytest.fixture
def latent(latent):
    """One image: ComfyUI's TSR takes no batch."""
    return {"samples": latent["samples"][:1]}


@pytest.fixture
def model_for(small, monkeypatch):
    """A MODEL with a node's patch: the small one, but with the attention that the node replaces."""

    def make(name):
        if name != "Self-Attention Guidance":
            return patched(small.clone(), *ROWS[name])
        kind, network, *widths = families.FAMILIES["SD1.x"]
        monkeypatch.setitem(families.FAMILIES, "SD1.x", (kind, {**network, "transformer_depth_middle": 1}, *widths))
        return patched(families.build("SD1.x", context=768)[0], *ROWS[name])

    return make


@pytest.fixture
def trip(prompt, control_net):
    """DDIM Invert and Regenerate with Canny; returns what came back, and the lines of both nodes."""

    def trip(model, latent, back=None, cfg=4.0, strength=1.0, steps=10, negative=True, **settings):
        words = {"negative": prompt("blurred") if negative else None}
        up = SDCDDIMInvert.execute(model, prompt("a cat"), latent, steps, cfg, strength, **settings, **words)
        noise, sigmas, inverted = up.result
        down = SDCRegenerateCanny.PREPARE_CLASS_CLONE({}).execute(
            back or model, prompt("a cat"), torch.zeros(1, 64, 96, 3), inverted, noise, sigmas, 100, 200,
            control_net=control_net, canny_strength=0.0, start_percent=0.0, end_percent=1.0, cfg=cfg, **words,
        )  # fmt: skip
        return down.result[0]["samples"], up.ui["text"], down.ui["text"]

    return trip


@pytest.mark.parametrize("name", ROWS)
def test_the_exact_pair_comes_back_exactly(model_for, latent, trip, name):
    """Whatever the global generator stands at, which is left as it was."""
    torch.manual_seed(1)
    state = torch.get_rng_state()
    back, up, down = trip(model_for(name), latent, steps=5, method="exact pair")
    assert torch.equal(torch.get_rng_state(), state)
    assert distance(back, latent["samples"]) < 1e-5 and "exactly" in up[0]
    notes = [note for note in (*up[1:], *down) if "The noise" not in note]  # 5 steps leave it weak
    assert all(name in note for note in notes) and len(notes) == 2 * (name in CACHES)


@pytest.mark.parametrize("name", [*CACHES, *DRAWING])
def test_a_refined_inversion_comes_back_as_closely_as_it_says(model_for, latent, trip, name):
    back, up, _ = trip(model_for(name), latent, cfg=1.0, strength=0.8, refine=4)
    assert "almost exactly" in up[0] and distance(back, latent["samples"]) < 1e-4


def test_momentum_of_apg_does_not_come_back(model, latent, trip):
    """It adds what it answered before, in the other order on the way back, as docs/inversion.md warns."""
    momentum = patched(model, "apg", "APG", 1.0, 5.0, -0.5)
    back, _, _ = trip(momentum, latent, method="exact pair")
    assert 1e-3 < distance(back, latent["samples"]) < 0.5


def test_a_node_that_needs_a_negative_at_cfg_1_is_given_it_or_named(model_for, latent, trip):
    guided = model_for("Self-Attention Guidance")
    back, _, _ = trip(guided, latent, cfg=1.0, steps=5, method="exact pair")
    assert distance(back, latent["samples"]) < 1e-5
    with pytest.raises(ValueError, match="Self-Attention Guidance.*connect negative"):
        trip(guided, latent, cfg=1.0, negative=False)


@pytest.mark.parametrize("name", CACHES)
def test_the_parts_refuse_a_cache_by_name(model, prompt, latent, name):
    cached = patched(model, *CACHES[name])
    rising, _ = SDCInversionSigmas.execute(cached, "normal", 5, 0.8).result
    sampler, no_noise = SDCInversionSampler.execute(0).result[0], DisableNoise.execute().result[0]
    with pytest.raises(ValueError, match=f"{name}.*Connect the model as it is before {name}"):
        SamplerCustomAdvanced.execute(no_noise, basic(cached, prompt("")), sampler, rising, latent)


def lora(model, strength: float):
    weights = {}
    for name, shape in (("to_q", 64), ("to_k", 64)):
        key = f"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_{name}"
        random = torch.Generator().manual_seed(3)
        weights |= {
            f"{key}.lora_up.weight": torch.randn(shape, 4, generator=random),
            f"{key}.lora_down.weight": torch.randn(4, shape, generator=random),
        }
    patched, _ = comfy.sd.load_lora_for_models(model, None, weights, strength, 0)
    assert patched.patches
    return patched


def test_another_model_on_the_way_back_is_noted(model, latent, trip):
    """A LoRA, the same at another strength, a merge, other weights; two loaders of the same files are the same."""
    again = families.build("SD1.x", context=768)[0]
    other = families.build("SD1.x", seed=2, context=768)[0]
    merges = [ModelMergeSimple().merge(first, other, 0.9)[0] for first in (model, again)]
    models = [
        model,
        lora(model, 0.5),
        lora(model, 0.6),
        merges[0],
        other,
        patched(model, "model_advanced", "ModelSamplingDiscrete", "v_prediction", True),
    ]
    for one, same in ((model, again), (models[1], lora(again, 0.5)), merges, (model, patched(model, *ROWS["FreeU"]))):
        assert identity(one) == identity(same)
    assert len({identity(one) for one in models}) == len(models)
    for method in ("DDIM", "exact pair"):
        assert not trip(models[1], latent, steps=3, cfg=1.0, method=method)[2]
        (note,) = trip(models[1], latent, back=model, steps=3, cfg=1.0, method=method)[2]
        assert "The model is not the one that DDIM Invert used" in note


def test_every_row_of_the_table_is_tested():
    section = DOCS.partition("## What ComfyUI's own nodes put on the model")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)[2:]
    assert {name.strip() for row in rows for name in row.split(",")} == {*ROWS, "APG with momentum", "LoRA", "merge"}
