"""How an image was made, as its metadata say it: prompts, seed, sampler settings, and file names of the models."""

from .. import file_name

FILES = ("model", "vae")
TEXTS = ("prompt", "negative", "sampler", "scheduler", "model", "vae")
INTEGERS = {"seed": (0, (1 << 64) - 1), "steps": (1, 10_000)}
NUMBERS = {"cfg": (0.0, 100.0), "denoise": (0.0, 1.0), "guidance": (0.0, 100.0)}
KEYS = (*TEXTS, *INTEGERS, *NUMBERS)


def generation_of(metadata: dict) -> dict:
    """Those entries of metadata under KEYS whose values ComfyUI's samplers accept.

    "prompt", "negative", "sampler", "scheduler", "model" and "vae" are str, "seed" and "steps" int, "cfg" and "denoise"
    float. Other values are left out, and so are the folders of file names: a file may come from anybody.
    """
    found: dict = {key: metadata[key] for key in TEXTS if isinstance(metadata.get(key), str)}
    for key in FILES:
        if (name := file_name(found.pop(key, ""))) not in ("", ".", ".."):
            found[key] = name
    for limits, kind in ((INTEGERS, int), (NUMBERS, float)):
        for key, (lowest, highest) in limits.items():
            value = metadata.get(key)
            # A bool is an int in Python, and many programs write 8.0 for 8.
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if lowest <= value <= highest and (kind is float or value == int(value)):
                found[key] = kind(value)
    return found
