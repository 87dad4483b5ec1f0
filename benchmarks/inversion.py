"""Inversion and back: error over model calls, ours beside other nodes' rules; cost beside stock sampling; strength.

Models are random ones of every family (`error`, `cost`), exact denoisers of known data (`analytic`, `modes`, `pairs`),
and a checkpoint of your choice (`samplers`, `strength`), by default the random stand-in: its pictures say nothing about
quality. `strength` needs --images and measures on their latents.
"""

import math
from itertools import product
from pathlib import Path

import torch
from tqdm import tqdm

from dev.environment import say

from .harness import comfy, measure, pairs, pictures, plots, timing
from .harness.peers import PEERS
from .harness.results import picture_key
from .harness.tables import Table, mean
from .harness.trips import OURS, Trip, count_calls, levels, passes_of, processor_seconds

PARTS = ("error", "analytic", "modes", "pairs", "samplers", "cost", "strength")
STEPS = (10, 20, 50)
REFINES = (0, 1, 2, 3, 4, 6, 8, 10)
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
SAMPLERS = ("euler", "heun", "dpmpp_2m")
SIDE = 8  # of the latents where only numbers count
COST_SIDE, COST_STEPS, LARGE_SIDE = 64, 3, 1024


def add_arguments(parser):
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--checkpoint", metavar="NAME", help="for samplers and strength, as Load Checkpoint lists it")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="a photograph by every sampler of `samplers`")


def run(options, results):
    comfy.start(options)
    torch.set_num_threads(1 if set(options.parts) <= set(PARTS[:5]) else torch.get_num_threads())
    with torch.inference_mode():
        bench = Bench(options)
        jobs = [job for part in options.parts for job in getattr(bench, part)()]
        for key, job in (bar := tqdm(jobs, disable=None)):
            bar.set_description(key["what"])
            results.get(key, job)
        if options.picture:
            bench.draw(options.picture)
    for table in report(results.rows):
        say(table.text())
    say(measure.load_lpips(options.shared)[1])
    if options.plot:
        plot(results.rows, options.plot)


class Bench:
    """Jobs: (key, function that measures)."""

    def __init__(self, options):
        import comfy.utils
        import nodes

        from dev import families

        comfy.utils.PROGRESS_BAR_ENABLED = False  # there is one already

        self.options = options
        self.standin = min(path.name for path in (options.models / "checkpoints").glob("sdc-standin*.ckpt"))
        self.checkpoint = options.checkpoint or self.standin
        self.loaded = {}
        self.nodes, self.families = nodes, families

    def load(self, name):
        """(MODEL, positive, negative, VAE or None) of a checkpoint or of a family."""
        if name not in self.loaded:
            if name in self.families.FAMILIES:
                model, positive = self.families.build(name)
                self.loaded[name] = model, positive, [[positive[0][0] * 0, positive[0][1]]], None
            else:
                model, clip, vae = self.nodes.CheckpointLoaderSimple().load_checkpoint(name)
                words = [self.nodes.CLIPTextEncode().encode(clip, text)[0] for text in ("a photograph", "")]
                self.loaded[name] = model, *words, vae
        return self.loaded[name]

    def error(self):
        for name in (self.standin, *self.families.FAMILIES):
            known = name in self.families.FAMILIES
            for method, steps, guidance in product((*OURS, *PEERS), STEPS, (1.0, 3.0)):
                key = {"what": "error", "family": name if known else "SD1.x UNet", "method": method, "steps": steps}
                yield {**key, "guidance": guidance}, lambda a=(name, method, steps, guidance): self.round_trip(*a)

    def round_trip(self, name, method, steps, guidance):
        model, positive, negative, _ = self.load(name)
        model, latent = model.clone(), self.families.draw_latent(model, SIDE, SIDE)
        calls = count_calls(model)
        trip = Trip(model, positive, negative, guidance, levels(model, steps))
        x, report, back = trip.up(method, latent)
        up = len(calls)
        restored = back()
        figures = {"steps": len(trip.sigmas) - 1, "up": up, "down": len(calls) - up}
        return {**figures, "error": distance(restored, latent["samples"])}

    def analytic(self):
        for name, method, steps in product((self.standin, "SD3"), (*OURS, *PEERS), STEPS):
            family = name if name in self.families.FAMILIES else "SD1.x"
            key = {"what": "analytic", "family": family, "method": method, "steps": steps}
            yield key, lambda a=(name, method, steps): self.against_closed_form(*a)

    def against_closed_form(self, name, method, steps):
        from dev import denoisers

        model, positive, negative, _ = self.load(name)
        model, latent = model.clone(), self.families.draw_latent(model, SIDE, SIDE)
        exact = denoisers.use_gaussian(model)
        trip = Trip(model, positive, negative, 1.0, levels(model, steps))
        x, *_ = trip.up(method, latent)
        target = exact(model.get_model_object("latent_format").process_in(latent["samples"]), trip.sigmas[0])
        return {"error": distance(x, target)}

    def modes(self):
        for side, steps, refine in product((1, 2), (20, 50), REFINES):
            key = {"what": "modes", "patch": side, "steps": steps, "refine": refine}
            yield key, lambda a=(side, steps, refine): self.multimodal(*a)

    def multimodal(self, side, steps, refine):
        from dev import denoisers

        model, positive, negative, _ = self.load(self.standin)
        model = model.clone()
        draw = denoisers.use_patch_mixture(model, side=side)
        latent = {"samples": model.get_model_object("latent_format").process_out(draw(16, 16, 16))}
        trip = Trip(model, positive, negative, 1.0, levels(model, steps))
        _, _, back = trip.up(refine, latent)
        return {"error": distance(back(), latent["samples"])}

    def pairs(self):
        model, *_ = self.load(self.standin)
        for rule, data, steps in product(pairs.RULES, ("Gaussian", "mixture"), STEPS):
            key = {"what": "pairs", "rule": rule, "data": data, "steps": steps}
            yield key, lambda a=(rule, data), n=steps: pairs.measure(*a, levels(model, n).flip(0))

    def samplers(self):
        for sampler, refine in product(SAMPLERS, (0, 4)):
            key = {"what": "samplers", "checkpoint": self.checkpoint, "sampler": sampler, "refine": refine}
            yield key, lambda a=(sampler, refine): self.by_sampler(*a)[0]

    def by_sampler(self, sampler, refine, latent=None):
        model, positive, negative, _ = self.load(self.checkpoint)
        latent = latent or self.families.draw_latent(model, 16, 16)
        trip = Trip(model, positive, negative, 1.0, levels(model, 20))
        _, _, back = trip.up(refine, latent)
        restored = back(sampler)
        return {"error": distance(restored, latent["samples"])}, restored

    def draw(self, path):
        """The photograph of the README, decoded and by every sampler, in one row."""
        import skimage.data

        _, _, _, vae = self.load(self.checkpoint)
        image = torch.from_numpy(skimage.data.astronaut()[::2, ::2].copy() / 255)[None].float()
        latent = quantised(self.nodes.VAEEncode().encode(vae, image)[0])[0]
        row = [latent["samples"], *(self.by_sampler(sampler, 0, latent)[1] for sampler in SAMPLERS)]
        decoded = [self.nodes.VAEDecode().decode(vae, {"samples": samples})[0][0] for samples in row]
        figure, axes = plots.axes(len(row), 2.5, 2.8)
        for axis, title, shown in zip(axes, ("decoded", *SAMPLERS), decoded, strict=True):
            axis.imshow(shown.clamp(0, 1).cpu().numpy())
            axis.set_title(title)
            axis.set_axis_off()
        plots.save(figure, path)

    def cost(self):
        key = {"what": "cost", "side": COST_SIDE, "steps": COST_STEPS, "threads": torch.get_num_threads()}
        yield key, self.beside_stock

    def beside_stock(self):
        """Each pass beside stock sampling of as many calls, with the UNet and with a denoiser that costs nothing."""
        from dev import denoisers

        network, positive, negative, _ = self.load(self.standin)
        free = network.clone()
        denoisers.use_gaussian(free)
        figures = {}
        for kind, model, side, steps in (
            ("unet", network, COST_SIDE, COST_STEPS),
            ("free", free, COST_SIDE, 100),
            ("large", free, LARGE_SIDE, COST_STEPS),
        ):
            latent = self.families.draw_latent(model, side, side)
            passes = passes_of(Trip(model, positive, negative, 1.0, levels(model, steps, "simple")), latent)
            if kind == "large":
                for call in passes.values():  # what the first one allocates for good is no part of it
                    call()
                memory = {name: timing.peak_memory(call) for name, call in passes.items()}
                figures[kind] = {name: bytes_ / latent["samples"].nbytes for name, bytes_ in memory.items()}
            else:
                figures[kind] = {name: seconds / steps for name, seconds in processor_seconds(passes).items()}
        return figures

    def strength(self):
        if not self.options.images:
            return
        for name, pixels in pictures.load(self.options.images, self.options.size).items():
            key = {"what": "strength", "checkpoint": self.checkpoint, **picture_key(name, pixels)}
            yield {**key, "strengths": STRENGTHS}, lambda pixels=pixels: self.by_strength(pixels)

    def by_strength(self, pixels):
        from sdc_pack.nodes.comparison.metrics import to_pixels
        from sdc_pack.nodes.inversion.schedule import lowest_levels
        from sdc_pack.nodes.inversion.strength import quantisation_noise, strength_of_noise

        model, positive, negative, vae = self.load(self.checkpoint)
        image = torch.from_numpy(pixels)[None].float() / 255
        original = self.nodes.VAEEncode().encode(vae, image)[0]
        latent, files = quantised(original)
        inside = model.get_model_object("latent_format").process_in
        true = (inside(latent["samples"]) - inside(original["samples"])).square().mean().sqrt().item()
        sigmas = levels(model, 50)
        estimate = quantisation_noise(model, latent, files)
        auto = strength_of_noise(model.get_model_object("model_sampling"), sigmas, estimate)
        rows = []
        for strength in (*STRENGTHS, auto):
            kept = lowest_levels(sigmas, strength)
            samples, returned = latent["samples"], None
            if len(kept):
                trip = Trip(model, positive, negative, 1.0, kept)
                _, _, back = trip.up(0, latent)
                samples = back()
                returned = distance(samples, latent["samples"])
            shown = to_pixels(self.nodes.VAEDecode().decode(vae, {"samples": samples})[0][0])
            rows.append(
                {
                    "strength": strength,
                    "sigma": kept[0].item() if len(kept) else 0.0,
                    "moved": returned or 0.0,
                    "error": distance(samples, original["samples"]),
                    **measure.figures(pixels, shown, self.options.shared),
                }
            )
        return {"true": true, "estimate": estimate, "auto": auto, "rows": rows}


def quantised(latent: dict):
    """A LATENT of one picture, as the preset `paper` gives it back, and its file."""
    from sdc_pack import codec

    picture = codec.encode(latent["samples"][0].float().cpu().numpy(), **codec.PAPER_PRESET)
    return {"samples": torch.from_numpy(codec.decode(picture))[None]}, [picture]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative L2; no more than 1e9, where there is nothing left to tell and JSON has no infinity."""
    value = ((a.cpu().float() - b.cpu().float()).norm() / b.cpu().float().norm()).item()
    return min(value, 1e9) if math.isfinite(value) else 1e9


def report(rows) -> list[Table]:
    by = {part: [row for row in rows if row["key"]["what"] == part] for part in PARTS}
    makers = (error_table, analytic_table, modes_table, pairs_table, samplers_table, cost_table, strength_tables)
    tables = [maker(by[part]) for part, maker in zip(PARTS, makers, strict=True) if by[part]]
    return [table for made in tables for table in (made if isinstance(made, list) else [made])]


def grid(rows, across, show) -> tuple[list, list]:
    """Header and lines: one line a method and whatever else `across` does not name, one column a value of that."""
    columns = list(dict.fromkeys(row["key"][across] for row in rows))
    lines = {}
    for row in rows:
        rest = tuple(value for key, value in row["key"].items() if key not in (across, "what"))
        lines.setdefault(rest, {})[row["key"][across]] = show(row["value"])
    body = [[", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in rest)] for rest in lines]
    for line, cells in zip(body, lines.values(), strict=True):
        line += [cells.get(column, "-") for column in columns]
    return ["", *(f"{across} {column}" for column in columns)], body


def error_table(rows):
    header, lines = grid(rows, "steps", lambda v: f"{v['error']:.1e} ({v['up']}+{v['down']})")
    notes = [
        "Relative L2 from the latent, through the noise, and back (calls up + down); family, method, guidance scale.",
        "DDIM goes back by euler; so do the rules of other nodes.",
    ]
    return Table("Round trip", header, lines, notes)


def analytic_table(rows):
    header, lines = grid(rows, "steps", lambda v: f"{v['error']:.1e}")
    return Table("The noise against the closed form for Gaussian data", header, lines, ["Relative L2 of z_T."])


def modes_table(rows):
    header, lines = grid(rows, "refine", lambda v: f"{v['error']:.1e}")
    return Table("Round trip on an exact denoiser with six modes a patch", header, lines, ["Patch side, steps."])


def pairs_table(rows):
    header, lines = grid(
        rows, "steps", lambda v: f"{v['edit']:.3f}, {v['noise']:.3f}, {v['deviation']:.2f}, {v['round_trip']:.0e}"
    )
    notes = [
        "Way back under another denoiser and noise, both beside the probability flow; deviation of the noise over the",
        "flow's; round trip, in float64. The Gaussian's mean moves by 0.7, the six modes of the mixture by 0.4.",
    ]
    return Table("Exact pairs to choose from", header, lines, notes)


def samplers_table(rows):
    header, lines = grid(rows, "sampler", lambda v: f"{v['error']:.1e}")
    notes = ["Relative L2 from the latent that was inverted, 20 steps; checkpoint, refine.", "Only euler is what DDIM"]
    notes[1] += " inversion mirrors: the others take a straighter way and end nearer to what the model would paint."
    return Table("Other samplers from our NOISE", header, lines, notes)


def cost_table(rows):
    lines = []
    for row in rows:
        unet, free, large = (row["value"][kind] for kind in ("unet", "free", "large"))
        for name, seconds in unet.items():
            own = free[name] - free["stock"]
            cells = (
                f"{seconds:.3f}",
                f"{seconds / unet['stock']:.3f}",
                f"{1000 * own:+.2f}",
                f"{1 + own / unet['stock']:.4f}",
            )
            lines.append([name, *cells, f"{large[name] - large['stock']:+.1f}"])
    notes = [
        f"Processor seconds a step at {COST_SIDE}x{COST_SIDE} latents; the exact pair calls once less on its way down.",
        "ms more: a step beside stock's where the model costs nothing; ratio of it: stock and this over stock.",
        f"Latents more: peak memory beside stock's, at {LARGE_SIDE}x{LARGE_SIDE} and a model that needs none.",
    ]
    header = ["", "seconds", "ratio", "ms more", "ratio of it", "latents more"]
    return Table("Cost beside stock SamplerCustomAdvanced", header, lines, notes)


def strength_tables(rows):
    palette, lines = [], []
    for row in rows:
        value = row["value"]
        ratio = value["estimate"] / value["true"]
        palette.append(
            [
                row["key"]["picture"], f"{value['true']:.3f}", f"{value['estimate']:.3f}", f"{ratio:.2f}",
                f"{value['auto']:.2f}",
            ]
        )  # fmt: skip
    for number, strength in enumerate((*STRENGTHS, "auto")):
        cells = [row["value"]["rows"][number] for row in rows]
        show = lambda name, form, cells=cells: "-" if (m := mean([c[name] for c in cells])) is None else f"{m:{form}}"  # noqa: E731
        named = ("sigma", ".3g"), ("moved", ".3f"), ("error", ".3f"), ("psnr", ".2f"), ("ssim", ".3f"), ("lpips", ".3f")
        lines.append([str(strength), *(show(name, form) for name, form in named)])
    header = ["strength", "sigma", "moved", "latent error", "PSNR", "SSIM", "LPIPS"]
    about = f"Means of {len(rows)} pictures, preset paper, 50 steps, refine 0, no ControlNet; checkpoint "
    return [
        Table("Quantisation error, by the palette and in truth", ["", "true", "estimate", "ratio", "auto"], palette),
        Table("Strength", header, lines, [about + rows[0]["key"]["checkpoint"]]),
    ]


def plot(rows, path: Path):
    """Error of the round trip over model calls on the SD1.x UNet, and over refinement on the multimodal denoiser."""
    figure, (left, right) = plots.axes(2)
    for method in (*OURS, *PEERS):
        chosen = [
            row["value"] for row in rows
            if row["key"]["what"] == "error" and row["key"]["family"] == "SD1.x UNet"
            and row["key"]["method"] == method and row["key"]["guidance"] == 1.0
        ]  # fmt: skip
        style = "o-" if method in OURS else "x--"
        left.loglog([v["up"] for v in chosen], [max(v["error"], 1e-8) for v in chosen], style, label=method)
    left.set_xlabel("UNet calls of the inversion")
    left.set_ylabel("error of the round trip, relative L2")
    left.set_title("SD1.x UNet with random weights, 10, 20, 50 steps")
    left.legend(fontsize="small")
    for side, steps in product((1, 2), (20, 50)):
        chosen = [
            (row["key"]["refine"], row["value"]["error"]) for row in rows
            if row["key"]["what"] == "modes" and (row["key"]["patch"], row["key"]["steps"]) == (side, steps)
        ]  # fmt: skip
        if chosen:
            right.semilogy(*zip(*chosen, strict=True), "o-", label=f"patches of {side}x{side}, {steps} steps")
    right.set_xlabel("refine")
    right.set_title("Exact denoiser with six modes a patch")
    right.legend(fontsize="small")
    plots.save(figure, path)
