"""Presets, the coders behind them, and `encode` agree on names and defaults."""

import inspect

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec import container, registry

LATENTS = np.random.default_rng(0).normal(size=(1, 4, 8, 8))
COMMON = {"latent_format", "width", "height", "metadata", "vae", "step", "latents", "preset"}


def test_what_encode_takes_is_what_presets_use():
    known = {name for preset in codec.PRESETS.values() for name in preset.defaults}
    assert known == inspect.signature(codec.encode).parameters.keys() - COMMON
    assert inspect.signature(codec.encode).parameters["preset"].default == codec.DEFAULT_PRESET == "best"


@pytest.mark.parametrize("preset", codec.PRESETS.values(), ids=lambda preset: preset.name)
def test_defaults_are_what_is_used_where_nothing_is_given(preset):
    given = {name: value for name, value in preset.defaults.items() if value is not None}
    assert codec.encode(LATENTS, preset.name, **given) == codec.encode(LATENTS, preset.name)
    assert codec.encode(LATENTS, preset.name)[0].stored.coder in registry.coder_by_name(preset.coder).ids.values()


def test_each_byte_and_tag_belongs_to_one_coder():
    ids = [coder_id for coder in registry.CODERS for coder_id in coder.ids] + [container.SEQUENCE_ID]
    tags = [tag for coder in registry.CODERS for tag in coder.sections] + [container.SEQUENCE]
    assert len(set(ids)) == len(ids) and len(set(tags)) == len(tags)
    assert all(tag.isupper() and len(tag) == 1 for tag in tags)
