"""What metadata say of how an image was made: values that a sampler takes, and nothing else."""

import pytest
from sdc_pack.nodes.metadata.generation import generation_of

ALL = {
    "prompt": "a", "negative": "b", "sampler": "euler", "scheduler": "normal", "model": "m.safetensors",
    "vae": "v.safetensors", "seed": (1 << 64) - 1, "steps": 20, "cfg": 7.5, "denoise": 1.0,
    "guidance": 3.5,
}  # fmt: skip


def test_everything_is_given_back():
    assert generation_of(ALL | {"workflow": {}, "mine": [1]}) == ALL
    assert generation_of({}) == {}


def test_whole_numbers_and_others_may_be_written_alike():
    found = generation_of({"seed": 5.0, "steps": 20.0, "cfg": 8, "denoise": 1})
    assert found == {"seed": 5, "steps": 20, "cfg": 8.0, "denoise": 1.0}
    assert [type(value) for value in found.values()] == [int, int, float, float]


def test_files_have_no_folders():
    """Of whoever made the image, in whose system's writing."""
    found = generation_of({"model": "C:\\Users\\me\\sd\\m.safetensors", "vae": "/home/me/v.pt", "prompt": "a/b"})
    assert found == {"model": "m.safetensors", "vae": "v.pt", "prompt": "a/b"}
    assert generation_of({"model": "../..", "vae": "a\\"}) == {}


@pytest.mark.parametrize(
    "strange",
    [
        {"negative": 5, "sampler": ["euler"], "scheduler": None, "model": {}, "vae": True},
        {"seed": -1, "steps": 0, "cfg": -0.5, "denoise": 1.5},
        {"seed": 1 << 64, "steps": 10**300, "cfg": 1e300, "denoise": "1"},
        {"seed": True, "steps": 2.5, "cfg": [7], "denoise": None},
    ],
)
def test_other_values_are_none(strange):
    assert generation_of(strange) == {}
