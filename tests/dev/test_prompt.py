import pytest

from dev.prompt import WorkflowError, to_prompt

OBJECT_INFO = {
    "Load": {"input": {"required": {"image": [["a.png", "b.png"], {"image_upload": True}]}}},
    "Sample": {
        "input": {
            "required": {
                "model": ["MODEL"],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "steps": ["INT", {"default": 20}],
                "sampler": [["euler", "ddim"]],
            },
            "optional": {
                "text": ["STRING", {"default": "", "forceInput": True}],
                "strength": ["FLOAT", {"default": 1.0}],
                "format": ["COMBO", {"options": ["png", "webp"]}],
            },
        },
        "input_order": {
            "required": ["model", "seed", "steps", "sampler"],
            "optional": ["text", "strength", "format"],
        },
    },
    "Model": {"input": {"required": {}}},
    "Patch": {"input": {"required": {"model": ["MODEL"], "text": ["STRING", {}]}}},
    "Fixed": {"input": {"required": {"seed": ["INT", {"control_after_generate": False}], "noise_seed": ["INT", {}]}}},
    "Choice": {"input": {"required": {"mode": ["COMFY_DYNAMICCOMBO_V3", {}]}}},
}


def node(number, kind, widgets=(), inputs=(), outputs=(), mode=0, **more):
    return {
        "id": number,
        "type": kind,
        "mode": mode,
        "inputs": [{"name": name, "type": kind_, "link": link} for name, kind_, link in inputs],
        "outputs": [{"name": kind_, "type": kind_} for kind_ in outputs],
        "widgets_values": widgets if isinstance(widgets, dict) else list(widgets),
        **more,
    }


def convert(nodes, links=()):
    return to_prompt({"nodes": nodes, "links": list(links), "version": 0.4}, OBJECT_INFO)


SAMPLE = [7, "fixed", 30, "ddim", 0.5, "webp"]


def test_widget_values_get_their_names_and_control_after_generate_is_dropped():
    prompt = convert([node(1, "Sample", SAMPLE)])
    assert prompt["1"]["inputs"] == {"seed": 7, "steps": 30, "sampler": "ddim", "strength": 0.5, "format": "webp"}
    assert prompt["1"]["class_type"] == "Sample"


def test_seed_saved_without_its_control_value_shifts_nothing():
    prompt = convert([node(1, "Sample", [7, 30, "ddim", 0.5, "webp"])])
    assert prompt["1"]["inputs"]["steps"] == 30


def test_control_value_follows_the_schema_before_the_name_of_the_input():
    assert convert([node(1, "Fixed", [3, 4, "randomize"])])["1"]["inputs"] == {"seed": 3, "noise_seed": 4}


def test_widgets_that_an_older_workflow_lacks_start_at_their_default():
    inputs = convert([node(1, "Sample", [7, "fixed", 30, "ddim"])])["1"]["inputs"]
    assert (inputs["strength"], inputs["format"]) == (1.0, "png")


def test_values_of_front_end_buttons_are_left_out():
    assert convert([node(1, "Load", ["b.png", "image"])])["1"]["inputs"] == {"image": "b.png"}


def test_widget_values_given_by_name():
    assert convert([node(1, "Load", {"image": "b.png", "upload": "image"})])["1"]["inputs"] == {"image": "b.png"}


def test_list_value_is_wrapped_so_that_it_is_not_read_as_a_link():
    assert convert([node(1, "Load", [["1", 0]])])["1"]["inputs"] == {"image": {"__value__": ["1", 0]}}


def test_links_become_node_and_slot():
    nodes = [node(1, "Model", outputs=["MODEL"]), node(2, "Sample", SAMPLE, [("model", "MODEL", 5)])]
    assert convert(nodes, [[5, 1, 0, 2, 0, "MODEL"]])["2"]["inputs"]["model"] == ["1", 0]


def test_links_written_as_objects():
    nodes = [node(1, "Model", outputs=["MODEL"]), node(2, "Sample", SAMPLE, [("model", "MODEL", 5)])]
    link = {"id": 5, "origin_id": 1, "origin_slot": 0, "target_id": 2, "target_slot": 0, "type": "MODEL"}
    assert convert(nodes, [link])["2"]["inputs"]["model"] == ["1", 0]


def test_linked_widget_loses_its_saved_value_and_an_unlinked_one_keeps_it():
    sample = node(2, "Sample", SAMPLE)
    sample["inputs"] = [
        {"name": "steps", "type": "INT", "widget": {"name": "steps"}, "link": 5},
        {"name": "sampler", "type": "COMBO", "widget": {"name": "sampler"}, "link": None},
    ]
    inputs = convert([node(1, "Model", outputs=["INT"]), sample], [[5, 1, 0, 2, 0, "INT"]])["2"]["inputs"]
    assert (inputs["steps"], inputs["sampler"], inputs["strength"]) == (["1", 0], "ddim", 0.5)


def test_forced_input_takes_no_widget_value():
    nodes = [node(1, "Model", outputs=["STRING"]), node(2, "Sample", SAMPLE, [("text", "STRING", 5)])]
    inputs = convert(nodes, [[5, 1, 0, 2, 1, "STRING"]])["2"]["inputs"]
    assert (inputs["text"], inputs["strength"]) == (["1", 0], 0.5)


def test_muted_node_and_what_it_would_have_fed_are_left_out():
    nodes = [node(1, "Model", outputs=["MODEL"], mode=2), node(2, "Sample", SAMPLE, [("model", "MODEL", 5)])]
    prompt = convert(nodes, [[5, 1, 0, 2, 0, "MODEL"]])
    assert list(prompt) == ["2"] and "model" not in prompt["2"]["inputs"]


def test_bypassed_node_hands_on_its_input_of_the_same_type():
    nodes = [
        node(1, "Model", outputs=["MODEL"]),
        node(2, "Patch", ["x"], [("text", "STRING", None), ("model", "MODEL", 5)], ["MODEL"], mode=4),
        node(3, "Sample", SAMPLE, [("model", "MODEL", 6)]),
    ]
    prompt = convert(nodes, [[5, 1, 0, 2, 0, "MODEL"], [6, 2, 0, 3, 0, "MODEL"]])
    assert list(prompt) == ["1", "3"] and prompt["3"]["inputs"]["model"] == ["1", 0]


def test_reroutes_are_followed_notes_dropped():
    nodes = [
        node(1, "Model", outputs=["MODEL"]),
        node(2, "Reroute", [], [("", "*", 5)], ["MODEL"]),
        node(3, "Reroute", [], [("", "*", 6)], ["MODEL"]),
        node(4, "Sample", SAMPLE, [("model", "MODEL", 7)]),
        node(5, "Note", ["a remark"]),
        node(6, "MarkdownNote", ["a remark"]),
    ]
    links = [[5, 1, 0, 2, 0, "*"], [6, 2, 0, 3, 0, "*"], [7, 3, 0, 4, 0, "MODEL"]]
    prompt = convert(nodes, links)
    assert list(prompt) == ["1", "4"] and prompt["4"]["inputs"]["model"] == ["1", 0]


def test_primitive_gives_its_value():
    nodes = [node(1, "PrimitiveNode", [99, "fixed"], outputs=["INT"]), node(2, "Sample", SAMPLE)]
    nodes[1]["inputs"] = [{"name": "steps", "type": "INT", "widget": {"name": "steps"}, "link": 5}]
    prompt = convert(nodes, [[5, 1, 0, 2, 0, "INT"]])
    assert list(prompt) == ["2"] and prompt["2"]["inputs"]["steps"] == 99


def test_title_is_kept():
    assert convert([node(1, "Load", ["a.png"], title="Picture")])["1"]["_meta"] == {"title": "Picture"}


def test_subgraph_is_refused():
    workflow = {"nodes": [node(1, "abc")], "links": [], "definitions": {"subgraphs": [{"id": "abc"}]}}
    with pytest.raises(WorkflowError, match="subgraph"):
        to_prompt(workflow, OBJECT_INFO)


def test_unknown_node_is_named():
    with pytest.raises(WorkflowError, match="Mystery"):
        convert([node(1, "Mystery")])


def test_widgets_that_depend_on_a_choice_are_refused():
    with pytest.raises(WorkflowError, match="depend on a choice"):
        convert([node(1, "Choice", ["x"])])
