"""`run.py train dictionaries`: from the templates that come with ComfyUI to files by their hash."""

import importlib.util

import pytest
import zstandard
from sdc_pack.codec import dictionaries as shipped

from dev.train import dictionaries

NONE = importlib.util.find_spec(dictionaries.PACKAGE) is None


@pytest.mark.skipif(NONE, reason=f"this ComfyUI does not bring {dictionaries.PACKAGE}")
def test_dictionaries_are_made_of_templates():
    # A few make small ones, soon.
    trained = dictionaries.parts(dictionaries.train(None, None, 60))
    assert len(trained) == 2
    for name, content in trained.items():
        assert name == f"metadata/{shipped.name_of(content).hex()}.zdict" and len(content) <= shipped.LARGEST
    text = dictionaries.check_metadata(
        dictionaries.records(dictionaries.templates()[0], dictionaries.random.Random(1))[0]
    )
    prompts, _ = (zstandard.ZstdCompressionDict(content) for content in trained.values())
    alone, short = (len(zstandard.ZstdCompressor(19, dict_data=each).compress(text)) for each in (None, prompts))
    assert short < 0.6 * alone


def test_earlier_pages_wrote_sizes_as_objects_and_no_names_of_their_own():
    socket = {"name": "clip", "localized_name": "CLIP", "link": 3}
    widget = {"name": "text", "widget": {"name": "text"}, "link": None}
    node = {"id": 1, "size": [400, 200], "properties": {"cnr_id": "x", "Node name for S&R": "A"}}
    workflow = {"id": "u", "nodes": [node | {"inputs": [socket, widget], "outputs": [dict(socket)]}], "version": 0.4}
    found = dictionaries.earlier(workflow)
    assert found == {
        "nodes": [
            {
                "id": 1,
                "size": {"0": 400, "1": 200},
                "properties": {"Node name for S&R": "A"},
                "inputs": [{"name": "clip", "link": 3}],
                "outputs": [{"name": "clip", "link": 3, "slot_index": 0}],
            }
        ],
        "version": 0.4,
        "config": {},
        "extra": {},
    }
    assert workflow["nodes"][0]["size"] == [400, 200]  # what it was given stays
