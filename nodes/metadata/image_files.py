"""What the image files that ComfyUI wrote say about themselves."""

import json

from PIL import Image

from .prompt_graph import Found, find_generation


def generation_of_file(opened: Image.Image) -> Found:
    """How ComfyUI made a PNG, by the graph that it keeps inside; nothing where there is none.

    A graph with several Save nodes is in the files of all of them and does not say which one is this, so they have to
    agree.
    """
    try:
        graph = json.loads(opened.info["prompt"])
        savers = [key for key, node in graph.items() if "Save" in node["class_type"]]
        found, *others = [find_generation(graph, saver) for saver in savers]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return Found({})
    if any(other.values != found.values for other in others):
        return Found({}, reason="which of the Save nodes in its graph has written it is not known")
    return found
