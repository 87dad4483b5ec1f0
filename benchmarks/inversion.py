"""Inversion and back: error over model calls, next to the rules of other nodes.

Models are random ones of every latent format (`error`), exact denoisers of known data (`analytic`, `modes`), and a
checkpoint (`samplers`).
"""

import math
from functools import cache, partial
from itertools import product

import torch
from sdc_pack.nodes.tiny import install
from tqdm import tqdm

from dev import random_models

from .harness import comfy
from .harness.baseline_samplers import BASELINE_SAMPLERS
from .harness.round_trips import OURS, RoundTrip, levels
from .harness.tables import Table

PARTS = ("error", "analytic", "modes", "samplers")
UNET = "SD1.x UNet"  # of the random checkpoint
METHODS = (*OURS, *BASELINE_SAMPLERS)
STEPS = (10, 20, 50)
REFINES = (0, 1, 2, 3, 4, 6, 8, 10)
SAMPLERS = ("euler", "heun", "dpmpp_2m")
SIDE = 8  # of the latents where only numbers count


def add_arguments(parser):
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--checkpoint", default=install.NAMES["checkpoint"], metavar="NAME", help="for samplers (default: the tiny one)"
    )


def run(options, measurements) -> list[Table]:
    torch.set_num_threads(1)
    with torch.inference_mode():
        bench = Bench(options.checkpoint)
        jobs = [(part, *job) for part in options.parts for job in bench.jobs(part)]
        for part, key, job in (bar := tqdm(jobs, disable=None)):
            bar.set_description(part)
            measurements.get({"what": part, **key}, job)
    return report(measurements.rows)


class Bench:
    def __init__(self, checkpoint: str):
        import comfy.utils
        import nodes

        from dev import denoisers, families

        comfy.utils.PROGRESS_BAR_ENABLED = False  # there is one already
        self.checkpoint = checkpoint
        self.nodes, self.families, self.denoisers = nodes, families, denoisers
        self.load = cache(self.load_once)

    def load_once(self, name):
        """(MODEL, positive, negative) of a checkpoint, or of a small random model of a latent format."""
        if name in self.families.FAMILIES:
            model, positive = self.families.build(name)
            return model, positive, [[positive[0][0] * 0, positive[0][1]]]
        model, clip, _ = self.nodes.CheckpointLoaderSimple().load_checkpoint(name)
        words = [self.nodes.CLIPTextEncode().encode(clip, text)[0] for text in ("a photograph", "")]
        return model, *words

    def jobs(self, part: str):
        """(key, function that measures)."""
        formats, swept = (UNET, *self.families.FAMILIES), {"method": METHODS, "steps": STEPS}
        grids = {
            "error": (self.round_trip, {"latent format": formats, **swept, "cfg": (1.0, 3.0)}),
            "analytic": (self.against_closed_form, {"latent format": ("SD1.x", "SD3"), **swept}),
            "modes": (self.multimodal, {"patch": (1, 2), "steps": (20, 50), "refine": REFINES}),
            "samplers": (self.by_sampler, {"checkpoint": [self.checkpoint], "sampler": SAMPLERS, "refine": (0, 4)}),
        }
        measure, values = grids[part]
        for chosen in product(*values.values()):
            yield dict(zip(values, chosen, strict=True)), partial(measure, *chosen)

    def round_trip(self, latent_format, method, steps, cfg):
        name = random_models.NAMES["checkpoint"] if latent_format == UNET else latent_format
        model, positive, negative = self.load(name)
        model, latent = model.clone(), self.families.draw_latent(model, SIDE, SIDE)
        calls = comfy.count_calls(model)
        trip = RoundTrip(model, positive, negative, cfg, levels(model, steps))
        _, back = trip.up(method, latent)
        up = len(calls)
        error = distance(back(), latent["samples"])
        return {"steps": len(trip.sigmas) - 1, "up": up, "down": len(calls) - up, "error": error}

    def against_closed_form(self, latent_format, method, steps):
        model, positive, negative = self.load(latent_format)
        model, latent = model.clone(), self.families.draw_latent(model, SIDE, SIDE)
        exact = self.denoisers.use_gaussian(model)
        trip = RoundTrip(model, positive, negative, 1.0, levels(model, steps))
        x, _ = trip.up(method, latent)
        target = exact(model.get_model_object("latent_format").process_in(latent["samples"]), trip.sigmas[0])
        return {"error": distance(x, target)}

    def multimodal(self, side, steps, refine):
        model, positive, negative = self.load("SD1.x")
        model = model.clone()
        draw = self.denoisers.use_patch_mixture(model, side=side)
        latent = {"samples": model.get_model_object("latent_format").process_out(draw(16, 16, 16))}
        _, back = RoundTrip(model, positive, negative, 1.0, levels(model, steps)).up(refine, latent)
        return {"error": distance(back(), latent["samples"])}

    def by_sampler(self, checkpoint, sampler, refine):
        model, positive, negative = self.load(checkpoint)
        latent = self.families.draw_latent(model, 16, 16)
        _, back = RoundTrip(model, positive, negative, 1.0, levels(model, 20)).up(refine, latent)
        return {"error": distance(back(sampler), latent["samples"])}


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative L2, at most 1e9: JSON has no infinity."""
    value = ((a.cpu().float() - b.cpu().float()).norm() / b.cpu().float().norm()).item()
    return min(value, 1e9) if math.isfinite(value) else 1e9


def error_alone(value: dict) -> str:
    return f"{value['error']:.1e}"


# Part -> title, what the columns are, what a cell shows, notes.
GRIDS = {
    "error": (
        "Round trip", "steps", lambda v: f"{v['error']:.1e} ({v['up']}+{v['down']})",
        ["Relative L2 from the latent, through the noise, and back (calls up + down); latent format, method, cfg.",
         f"Random latents of {SIDE}x{SIDE}, models with random weights.",
         "DDIM and the baseline samplers go back by euler."],
    ),
    "analytic": (
        "The noise against the closed form for Gaussian data", "steps", error_alone,
        [f"Relative L2 of z_T, from random latents of {SIDE}x{SIDE}."],
    ),
    "modes": (
        "Round trip on an exact denoiser with six modes a patch", "refine", error_alone,
        ["Patch side, steps; random latents of 16x16 that this model would generate."],
    ),
    "samplers": (
        "Other samplers from our NOISE", "sampler", error_alone,
        ["Relative L2 from the random latent of 16x16 that was inverted, 20 steps; checkpoint, refine.",
         "DDIM inversion mirrors euler alone; the others take a straighter path and end nearer to what the model would "
         "generate."],
    ),
}  # fmt: skip


def report(rows: list[dict]) -> list[Table]:
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row["key"]["what"], []).append(row)
    return [grid_table(chosen, *GRIDS[part]) for part, chosen in found.items()]


def grid_table(rows, title, across, show_value, notes) -> Table:
    """One line a method and whatever else `across` does not name, one column a value of that."""
    columns = list(dict.fromkeys(row["key"][across] for row in rows))
    lines = {}
    for row in rows:
        rest = [value for key, value in row["key"].items() if key not in (across, "what")]
        label = ", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in rest)
        lines.setdefault(label, {})[row["key"][across]] = show_value(row["value"])
    body = [[label, *(cells.get(column, "-") for column in columns)] for label, cells in lines.items()]
    return Table(title, ["", *(f"{across} {column}" for column in columns)], body, notes)
