"""The files of the tiny models: replaced when their weights have changed, and never somebody else's."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sdc_pack.nodes.tiny import install


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Installs models of one tensor, made from weights that can be changed."""
    weights = tmp_path / "weights"
    weights.mkdir()
    save_file({"a": torch.zeros(3)}, weights / "a.safetensors")
    monkeypatch.setattr(install, "WEIGHTS", weights)

    def make():
        return {"b": load_file(weights / "a.safetensors")["a"] + 1, "c": torch.ones(2, dtype=torch.float16)}

    makers = {kind: (folder, make) for kind, (folder, _) in install.MAKERS.items()}
    monkeypatch.setattr(install, "MAKERS", makers)

    def retrain(value):
        save_file({"a": torch.full((3,), value)}, weights / "a.safetensors")

    return lambda: install.install_models(lambda kind: tmp_path / kind), retrain


def test_models_of_older_weights_are_replaced_and_others_left(small):
    put, retrain = small
    first, second = put()
    assert put() == []
    retrain(1.0)
    assert put() == [first, second] and put() == []
    assert all((load_file(path)["b"] == 2).all() for path in (first, second))
    with safe_open(first, "pt") as file:
        assert set(file.metadata()) == {install.STATE, install.CONTENT}


@pytest.mark.parametrize("whose", ["plain", "other metadata", "trained further", "no safetensors", "empty"])
def test_a_file_of_somebody_else_is_never_replaced(small, whose):
    put, retrain = small
    path = put()[0]
    if whose == "plain":
        save_file({"b": torch.zeros(3)}, path)
    elif whose == "other metadata":
        save_file({"b": torch.zeros(3)}, path, metadata={"format": "pt"})
    elif whose == "trained further":  # by a program that keeps what the header says
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        save_file({**load_file(path), "b": torch.full((3,), 9.0)}, path, metadata=metadata)
    else:
        path.write_bytes(b"a merge of mine" if whose == "no safetensors" else b"")
    before = path.read_bytes()
    retrain(1.0)
    assert path not in put() and path.read_bytes() == before


def test_the_real_ones_are_signed_and_hold_what_they_held(tmp_path):
    """In full: the header is what ComfyUI's loader reads past."""
    path = tmp_path / "controlnet" / install.NAMES["controlnet"]
    path.parent.mkdir()
    path.write_bytes(install.signed(install.controlnet()))
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    assert header["__metadata__"][install.STATE] == install.state() and not install.is_outdated(path)
    found, expected = load_file(path), install.controlnet()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
