"""Inversion and back: error over model calls, ours beside other nodes' rules; cost beside stock sampling; strength.

Models are random ones of every family (`error`, `cost`), exact denoisers of known data (`analytic`, `modes`, `pairs`),
and a checkpoint of your choice (`samplers`, `strength`), by default the random stand-in: its images say nothing about
quality. `strength` needs --images and measures on their latents.
"""

import math
from functools import cache, partial
from itertools import product
from pathlib import Path

import torch
from tqdm import tqdm

from dev import images, random_models
from dev.tables import Table, mean, show

from .harness import comfy, pairs, plots, stored, timing
from .harness.baseline_samplers import PEERS
from .harness.results import image_key
from .harness.trips import OURS, Trip, levels, passes_of, processor_seconds

PARTS = ("error", "analytic", "modes", "pairs", "samplers", "cost", "strength")
UNET = "SD1.x UNet"  # of the stand-in checkpoint
METHODS = (*OURS, *PEERS)
STEPS = (10, 20, 50)
REFINES = (0, 1, 2, 3, 4, 6, 8, 10)
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
SAMPLERS = ("euler", "heun", "dpmpp_2m")
SIDE = 8  # of the latents where only numbers count
COST_SIDE, COST_STEPS, LARGE_SIDE = 64, 3, 1024


def add_arguments(parser):
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--checkpoint", metavar="NAME", help="for samplers and strength, as Load Checkpoint lists it")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a photograph by every sampler of `samplers`")


def run(options, results):
    torch.set_num_threads(1 if set(options.parts) <= set(PARTS[:5]) else torch.get_num_threads())
    with torch.inference_mode():
        bench = Bench(options)
        jobs = [(part, *job) for part in options.parts for job in bench.jobs(part)]
        for part, key, job in (bar := tqdm(jobs, disable=None)):
            bar.set_description(part)
            results.get({"what": part, **key}, job)
        if options.image:
            bench.draw_samplers(options.image)


class Bench:
    def __init__(self, options):
        import comfy.utils
        import nodes

        from dev import denoisers, families

        comfy.utils.PROGRESS_BAR_ENABLED = False  # there is one already
        self.options, self.checkpoint = options, options.checkpoint or random_models.NAMES["checkpoint"]
        self.nodes, self.families, self.denoisers = nodes, families, denoisers
        self.load = cache(self.load_once)

    def load_once(self, name):
        """(MODEL, positive, negative, VAE or None) of a checkpoint or of a family."""
        if name in self.families.FAMILIES:
            model, positive = self.families.build(name)
            return model, positive, [[positive[0][0] * 0, positive[0][1]]], None
        model, clip, vae = self.nodes.CheckpointLoaderSimple().load_checkpoint(name)
        words = [self.nodes.CLIPTextEncode().encode(clip, text)[0] for text in ("a photograph", "")]
        return model, *words, vae

    def jobs(self, part: str):
        """(key, function that measures)."""
        families = (UNET, *self.families.FAMILIES)
        grids = {
            "error": (self.round_trip, {"family": families, "method": METHODS, "steps": STEPS, "guidance": (1.0, 3.0)}),
            "analytic": (self.against_closed_form, {"family": ("SD1.x", "SD3"), "method": METHODS, "steps": STEPS}),
            "modes": (self.multimodal, {"patch": (1, 2), "steps": (20, 50), "refine": REFINES}),
            "pairs": (self.by_pair, {"rule": pairs.RULES, "data": ("Gaussian", "mixture"), "steps": STEPS}),
            "samplers": (self.by_sampler, {"checkpoint": [self.checkpoint], "sampler": SAMPLERS, "refine": (0, 4)}),
        }
        if part in grids:
            measure, values = grids[part]
            for chosen in product(*values.values()):
                yield dict(zip(values, chosen, strict=True)), partial(measure, *chosen)
        elif part == "cost":
            yield {"side": COST_SIDE, "steps": COST_STEPS, "threads": torch.get_num_threads()}, self.beside_stock
        else:
            for name, pixels in images.load_crops(self.options.images or [], self.options.size).items():
                key = {"checkpoint": self.checkpoint, **image_key(name, pixels), "strengths": STRENGTHS}
                yield key, partial(self.by_strength, pixels)

    def round_trip(self, family, method, steps, guidance):
        model, positive, negative, _ = self.load(random_models.NAMES["checkpoint"] if family == UNET else family)
        model, latent = model.clone(), self.families.draw_latent(model, SIDE, SIDE)
        calls = comfy.count_calls(model)
        trip = Trip(model, positive, negative, guidance, levels(model, steps))
        _, _, back = trip.up(method, latent)
        up = len(calls)
        error = distance(back(), latent["samples"])
        return {"steps": len(trip.sigmas) - 1, "up": up, "down": len(calls) - up, "error": error}

    def against_closed_form(self, family, method, steps):
        model, positive, negative, _ = self.load(family)
        model, latent = model.clone(), self.families.draw_latent(model, SIDE, SIDE)
        exact = self.denoisers.use_gaussian(model)
        trip = Trip(model, positive, negative, 1.0, levels(model, steps))
        x, *_ = trip.up(method, latent)
        target = exact(model.get_model_object("latent_format").process_in(latent["samples"]), trip.sigmas[0])
        return {"error": distance(x, target)}

    def multimodal(self, side, steps, refine):
        model, positive, negative, _ = self.load("SD1.x")
        model = model.clone()
        draw = self.denoisers.use_patch_mixture(model, side=side)
        latent = {"samples": model.get_model_object("latent_format").process_out(draw(16, 16, 16))}
        _, _, back = Trip(model, positive, negative, 1.0, levels(model, steps)).up(refine, latent)
        return {"error": distance(back(), latent["samples"])}

    def by_pair(self, rule, data, steps):
        return pairs.measure(rule, data, levels(self.load("SD1.x")[0], steps).flip(0))

    def by_sampler(self, checkpoint, sampler, refine):
        latent = self.families.draw_latent(self.load(checkpoint)[0], 16, 16)
        return {"error": distance(self.resampled(latent, sampler, refine), latent["samples"])}

    def resampled(self, latent, sampler, refine=0):
        model, positive, negative, _ = self.load(self.checkpoint)
        _, _, back = Trip(model, positive, negative, 1.0, levels(model, 20)).up(refine, latent)
        return back(sampler)

    def draw_samplers(self, path):
        """The photograph of the README, decoded and by every sampler, in one row."""
        import skimage.data

        _, _, _, vae = self.load(self.checkpoint)
        image = torch.from_numpy(skimage.data.astronaut()[::2, ::2].copy() / 255)[None].float()
        latent = quantized(self.nodes.VAEEncode().encode(vae, image)[0])[0]
        row = [latent["samples"], *(self.resampled(latent, sampler) for sampler in SAMPLERS)]
        figure, axes = plots.axes(len(row), 2.5, 2.8)
        for axis, title, samples in zip(axes, ("decoded", *SAMPLERS), row, strict=True):
            axis.imshow(self.nodes.VAEDecode().decode(vae, {"samples": samples})[0][0].clamp(0, 1).cpu().numpy())
            axis.set_title(title)
            axis.set_axis_off()
        plots.save(figure, path)

    def beside_stock(self):
        """Each pass beside stock sampling of as many calls, with the UNet and with a denoiser that costs nothing."""
        network, positive, negative, _ = self.load(random_models.NAMES["checkpoint"])
        free = network.clone()
        self.denoisers.use_gaussian(free)

        def passes(model, side, steps):
            latent = self.families.draw_latent(model, side, side)
            return passes_of(Trip(model, positive, negative, 1.0, levels(model, steps, "simple")), latent)

        figures = {}
        for kind, model, steps in (("unet", network, COST_STEPS), ("free", free, 100)):
            seconds = processor_seconds(passes(model, COST_SIDE, steps))
            figures[kind] = {name: value / steps for name, value in seconds.items()}
        large = passes(free, LARGE_SIDE, COST_STEPS)
        for call in large.values():  # what the first one allocates for good is no part of it
            call()
        size = self.families.draw_latent(free, LARGE_SIDE, LARGE_SIDE)["samples"].nbytes
        return {**figures, "large": {name: timing.peak_memory(call) / size for name, call in large.items()}}

    def by_strength(self, pixels):
        from sdc_pack.nodes.comparison.metrics import to_pixels
        from sdc_pack.nodes.inversion.schedule import lowest_levels
        from sdc_pack.nodes.inversion.strength import quantization_noise, strength_of_noise

        model, positive, negative, vae = self.load(self.checkpoint)
        original = self.nodes.VAEEncode().encode(vae, torch.tensor(pixels)[None].float() / 255)[0]
        latent, files = quantized(original)
        inside = model.get_model_object("latent_format").process_in
        true = (inside(latent["samples"]) - inside(original["samples"])).square().mean().sqrt().item()
        sigmas = levels(model, 50)
        estimate = quantization_noise(model, latent, files)
        auto = strength_of_noise(model.get_model_object("model_sampling"), sigmas, estimate)
        rows = []
        for strength in (*STRENGTHS, auto):
            kept, samples = lowest_levels(sigmas, strength), latent["samples"]
            if len(kept):
                samples = Trip(model, positive, negative, 1.0, kept).up(0, latent)[2]()
            shown = to_pixels(self.nodes.VAEDecode().decode(vae, {"samples": samples})[0][0])
            rows.append(
                {
                    "strength": strength,
                    "sigma": kept[0].item() if len(kept) else 0.0,
                    "moved": distance(samples, latent["samples"]),
                    "error": distance(samples, original["samples"]),
                    **stored.figures(pixels, shown, self.options.shared),
                }
            )
        return {"true": true, "estimate": estimate, "auto": auto, "rows": rows}


def quantized(latent: dict):
    """A LATENT of one image, as the preset `paper` gives it back, and its file."""
    from sdc_pack import codec

    image = codec.encode([latent["samples"][0].float().cpu().numpy()], "paper")[0]
    return {"samples": torch.from_numpy(codec.decode(image))[None]}, [image]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative L2; no more than 1e9, where there is nothing left to tell and JSON has no infinity."""
    value = ((a.cpu().float() - b.cpu().float()).norm() / b.cpu().float().norm()).item()
    return min(value, 1e9) if math.isfinite(value) else 1e9


def error_alone(value: dict) -> str:
    return f"{value['error']:.1e}"


# Part -> title, what the columns are, what a cell shows, notes.
GRIDS = {
    "error": (
        "Round trip", "steps", lambda v: f"{v['error']:.1e} ({v['up']}+{v['down']})",
        ["Relative L2 from the latent, through the noise, and back (calls up + down); family, method, guidance scale.",
         f"Random latents of {SIDE}x{SIDE}, models with random weights.",
         "DDIM goes back by euler; so do the rules of other nodes."],
    ),
    "analytic": (
        "The noise against the closed form for Gaussian data", "steps", error_alone,
        [f"Relative L2 of z_T, from random latents of {SIDE}x{SIDE}."],
    ),
    "modes": (
        "Round trip on an exact denoiser with six modes a patch", "refine", error_alone,
        ["Patch side, steps; random latents of 16x16 that this model would paint."],
    ),
    "pairs": (
        "Exact pairs to choose from", "steps",
        lambda v: f"{v['edit']:.3f}, {v['noise']:.3f}, {v['deviation']:.2f}, {v['round_trip']:.0e}",
        ["Way back under another denoiser and noise, both beside the probability flow; deviation of the noise over the",
         "flow's; round trip, in float64. The Gaussian's mean moves by 0.7, the six modes of the mixture by 0.4."],
    ),
    "samplers": (
        "Other samplers from our NOISE", "sampler", error_alone,
        ["Relative L2 from the random latent of 16x16 that was inverted, 20 steps; checkpoint, refine.",
         "Only euler is what DDIM inversion mirrors: the others take a straighter way and end nearer to what the model "
         "would paint."],
    ),
}  # fmt: skip


def report(rows) -> list[Table]:
    tables = []
    for part in PARTS:
        chosen = [row for row in rows if row["key"]["what"] == part]
        if chosen and part in GRIDS:
            tables.append(grid_table(chosen, *GRIDS[part]))
        elif chosen:
            tables += {"cost": cost_tables, "strength": strength_tables}[part](chosen)
    return tables


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


def cost_tables(rows) -> list[Table]:
    lines = []
    for row in rows:
        unet, free, large = (row["value"][kind] for kind in ("unet", "free", "large"))
        for name, seconds in unet.items():
            own = free[name] - free["stock"]
            cells = f"{seconds:.3f}", f"{seconds / unet['stock']:.3f}", f"{1000 * own:+.2f}"
            more = f"{1 + own / unet['stock']:.4f}", f"{large[name] - large['stock']:+.1f}"
            lines.append([name, *cells, *more])
    notes = [
        f"Processor seconds a step at {COST_SIDE}x{COST_SIDE} random latents; the exact pair calls once less on "
        "its way down.",
        "ms more: a step beside stock's where the model costs nothing; ratio of it: stock and this over stock.",
        f"Latents more: peak memory beside stock's, at {LARGE_SIDE}x{LARGE_SIDE} and a model that needs none.",
    ]
    header = ["", "seconds", "ratio", "ms more", "ratio of it", "latents more"]
    return [Table("Cost beside stock SamplerCustomAdvanced", header, lines, notes)]


def strength_tables(rows) -> list[Table]:
    values = [row["value"] for row in rows]
    palette = [
        [row["key"]["image"], f"{v['true']:.3f}", f"{v['estimate']:.3f}", f"{v['estimate'] / v['true']:.2f}",
         f"{v['auto']:.2f}"]
        for row, v in zip(rows, values, strict=True)
    ]  # fmt: skip
    columns = {"sigma": ".3g", "moved": ".3f", "error": ".3f", "psnr": ".2f", "ssim": ".3f", "lpips": ".3f"}
    lines = []
    for number, strength in enumerate((*STRENGTHS, "auto")):
        same = [value["rows"][number] for value in values]
        means = [show(mean([one[name] for one in same]), form) for name, form in columns.items()]
        lines.append([str(strength), *means])
    header = ["strength", "sigma", "moved", "latent error", "PSNR", "SSIM", "LPIPS"]
    about = f"Means of {len(rows)} images, preset paper, 50 steps, refine 0, no ControlNet; checkpoint "
    return [
        Table("Quantization error, by the palette and in truth", ["", "true", "estimate", "ratio", "auto"], palette),
        Table("Strength", header, lines, [about + rows[0]["key"]["checkpoint"]]),
    ]


def plot(rows, path: Path):
    """Error of the round trip over model calls on the SD1.x UNet, and over refinement on the multimodal denoiser."""
    figure, (left, right) = plots.axes(2)

    def values(**wanted):
        return [(row["key"], row["value"]) for row in rows if wanted.items() <= row["key"].items()]

    for method in METHODS:
        chosen = [value for _, value in values(what="error", family=UNET, method=method, guidance=1.0)]
        style = "o-" if method in OURS else "x--"
        left.loglog([v["up"] for v in chosen], [max(v["error"], 1e-8) for v in chosen], style, label=method)
    left.set(xlabel="UNet calls of the inversion", ylabel="error of the round trip, relative L2")
    left.set_title("SD1.x UNet with random weights, 10, 20, 50 steps")
    for side, steps in product((1, 2), (20, 50)):
        chosen = [(key["refine"], value["error"]) for key, value in values(what="modes", patch=side, steps=steps)]
        if chosen:
            right.semilogy(*zip(*chosen, strict=True), "o-", label=f"patches of {side}x{side}, {steps} steps")
    right.set(xlabel="refine", title="Exact denoiser with six modes a patch")
    for axes in (left, right):
        axes.legend(fontsize="small")
    plots.save(figure, path)
