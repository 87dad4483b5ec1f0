"""Help pages and translations: there for every node and every input."""

import json
import re

import pytest

from .conftest import ROOT


@pytest.fixture(scope="module")
def nodes(server) -> dict:
    return {name: info for name, info in server.client.object_info().items() if info["python_module"].endswith("-sdc")}


def inputs(info: dict) -> set[str]:
    return {name for section in ("required", "optional") for name in info["input"].get(section, {})}


def test_every_node_has_a_help_page_that_names_its_inputs(server, nodes):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "web" / "docs").glob("*.md")}
    assert pages.keys() == nodes.keys()
    for name, page in pages.items():
        for address in (f"{name}.md", f"{name}/en.md"):  # the page asks for the language first
            assert server.client.request(f"/extensions/comfyui-sdc/docs/{address}").decode() == page
        bold = set(re.findall(r"\*\*(\w+)\*\*", page))
        missing = {field for field in inputs(nodes[name]) if re.sub(r"_\d$", "_1", field) not in bold}
        assert not missing, f"{name}.md says nothing about {missing}"
        for part in ("## Inputs", "## Outputs", "## Common mistakes"):
            assert part in page, f"{name}.md has no {part}"
        assert not re.search(r"^\|", page, re.MULTILINE), f"{name}.md has a table; the help panel cuts it off"
        images = re.findall(r"!\[.*?\]\((.*?)\)", page)
        assert images, f"{name}.md shows no image"
        for image in images:
            assert server.client.request(f"/extensions/comfyui-sdc/docs/{image}").startswith(b"\xff\xd8")


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_every_text_of_a_node_is_translated(server, nodes, language):
    texts = json.loads(server.client.request("/i18n"))[language]["nodeDefs"]
    assert {name for name in texts if name.startswith("SDC")} == nodes.keys()
    for name, info in nodes.items():
        text = texts[name]
        assert text["display_name"] and text["description"]
        assert inputs(info) <= text["inputs"].keys(), f"{name} in locales/{language}"
        assert text["outputs"].keys() == {str(i) for i in range(len(info["output"]))}
        for entry in (*text["inputs"].values(), *text["outputs"].values()):
            assert entry["name"] and entry["tooltip"]
            assert not set("{}@|") & set(entry["tooltip"]), "the front end takes these for its own marks"


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_every_word_of_the_page_is_translated(server, language):
    """What the scripts say, with the same gaps to be filled in; and the commands in the menu."""
    texts = json.loads(server.client.request("/i18n"))[language]
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "web").glob("*.js"))
    said = set(re.findall(r"\bt\(\s*\"([^\"]+)\"", scripts))
    assert len(said) > 20 and said == texts["sdc"].keys()
    for english, foreign in texts["sdc"].items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", foreign)) and foreign
    commands = {name.replace(".", "_") for name in re.findall(r"id: \"(sdc\.\w+)\"", scripts)}
    assert commands and commands == {name for name in texts["commands"] if name.startswith("sdc_")}


def test_every_blueprint_says_what_it_does_and_holds_nothing_that_the_front_end_calls_an_error():
    blueprints = sorted((ROOT / "subgraphs").glob("*.json"))
    assert len(blueprints) == 3
    for path in blueprints:
        text = path.read_text(encoding="utf-8")
        blueprint = json.loads(text)
        extra, (inside,) = blueprint["extra"], blueprint["definitions"]["subgraphs"]
        labels = [
            [(slot["name"], slot.get("label")) for slot in side["inputs"]] for side in (inside, *blueprint["nodes"])
        ]
        assert labels[0] == labels[1]  # the page shows those of the node
        assert len(extra["BlueprintDescription"]) > 40 and "sdc" in extra["BlueprintSearchAliases"]
        assert set(re.findall(r'"(\w+)": null', text)) <= {"link", "links"}
