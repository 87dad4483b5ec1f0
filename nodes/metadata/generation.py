"""What an image was made with, as the metadata keep it: prompts, seed, settings of the sampler, names of models."""

TEXTS = ("prompt", "negative", "sampler", "scheduler", "model", "vae")
WHOLE = {"seed": (0, (1 << 64) - 1), "steps": (1, 10_000)}
NUMBERS = {"cfg": (0.0, 100.0), "denoise": (0.0, 1.0)}
KEYS = (*TEXTS, *WHOLE, *NUMBERS)


def generation_of(metadata):
    """Return the part of `metadata`, a dict of JSON values, that says how the image was made.

    Returns
    -------
    dict
        Those of KEYS that are there with a value which ComfyUI's samplers take: "prompt", "negative", "sampler",
        "scheduler", "model" and "vae" as str, "seed" and "steps" as int, "cfg" and "denoise" as float. Other values are
        left out: metadata are free, and may come from anybody.
    """
    found = {}
    for key in TEXTS:
        if isinstance(metadata.get(key), str):
            found[key] = metadata[key]
    for limits, kind in ((WHOLE, int), (NUMBERS, float)):
        for key, (lowest, highest) in limits.items():
            value = metadata.get(key)
            # A bool is an int to Python, and 8.0 is what many programs write for 8.
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and lowest <= value <= highest and (kind is float or value == int(value)):
                found[key] = kind(value)
    return found
