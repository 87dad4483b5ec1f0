"""SDC Compare. Figures, sheet and table come from `comparison/`; here the inputs are sorted into entries."""

import os

import comfy.model_management
import folder_paths
import numpy as np
import torch
from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import io, ui

from . import CATEGORY
from .comparison import baselines, metrics
from .comparison.entries import Entry, compare, to_batches
from .comparison.sheet import draw_sheet
from .comparison.table import in_one_line, to_csv, to_markdown
from .files.paths import save_under
from .progress import cancelable
from .sockets.sdc import SDC

SLOTS = (1, 2, 3, 4)
ABOUT_FIGURES = (
    "Figures are means over RGB, in 8 bits. PSNR in dB; SSIM: 7x7 window; MS-SSIM: 11x11 Gaussian, five scales."
)

folder_paths.add_model_folder_path("lpips", os.path.join(folder_paths.models_dir, "lpips"))


class SDCCompare(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        images = []
        for slot in SLOTS:
            images += [
                io.Image.Input(
                    f"image_{slot}",
                    optional=True,
                    tooltip="An image to compare: decoded, regenerated, or made in any other way.",
                ),
                SDC.Input(
                    f"sdc_{slot}",
                    optional=True,
                    tooltip=f"The file that image_{slot} came from, for its size.",
                ),
            ]
        names = ("without inversion", "with inversion", "image 3", "image 4")
        return io.Schema(
            node_id="SDCCompare",
            display_name="SDC Compare",
            category=CATEGORY,
            description=(
                "Shows images next to their original, with a zoom into the region where they differ most, and measures "
                "them. Also encodes the original as JPEG, WebP, AVIF and JPEG XL at the same file size. Like Table 1 "
                "of 'Post-processing Based Image Coding via Stable Diffusion'."
            ),
            search_aliases=[
                "compare",
                "avif",
                "jpeg",
                "webp",
                "table",
                "psnr",
                "ssim",
                "lpips",
                "metrics",
                "quality",
                "benchmark",
                "sdc",
            ],
            is_output_node=True,
            inputs=[
                io.Image.Input("original", tooltip="The image before compression."),
                *(
                    io.String.Input(
                        f"name_{slot}",
                        default=name,
                        tooltip=f"Name of image_{slot} in the comparison and in the table.",
                    )
                    for slot, name in zip(SLOTS, names, strict=True)
                ),
                *(
                    io.Boolean.Input(
                        name.lower().replace(" ", "_"),
                        default=name != "JPEG XL",
                        tooltip=f"Compare with {name} at the same file size. {hint}",
                    )
                    for name, hint in {
                        "JPEG": "It is not designed for sizes this small.",
                        "WebP": "It is not designed for sizes this small.",
                        "AVIF": "The strongest and slowest of them. Needs Pillow 11.3.",
                        "JPEG XL": "Needs the package pillow-jxl-plugin.",
                    }.items()
                ),
                io.Int.Input(
                    "baseline_bytes",
                    default=0,
                    min=0,
                    max=1 << 30,
                    tooltip="Maximum file size for JPEG and the others. 0: the size of the first connected sdc.",
                ),
                io.Combo.Input(
                    "lpips_network",
                    options=list(metrics.LPIPS_WEIGHTS),
                    default="alex",
                    tooltip=(
                        "The network that LPIPS uses to measure how different images look. It needs the package "
                        "lpips and weights in models/lpips; without them the table says what is missing."
                    ),
                ),
                io.String.Input(
                    "filename_prefix",
                    default="SDC/compare",
                    tooltip="Name of the CSV file with all metrics, in the output folder.",
                ),
                *images,
            ],
            outputs=[
                io.Image.Output(
                    "comparison",
                    display_name="comparison",
                    tooltip="All images side by side, with zoom and difference maps, for Preview Image or Save Image.",
                ),
                io.String.Output("table", display_name="table", tooltip="All metrics as a Markdown table."),
            ],
        )

    @classmethod
    @cancelable()
    def execute(
        cls, original, jpeg, webp, avif, jpeg_xl, baseline_bytes, lpips_network, filename_prefix, **slots
    ) -> io.NodeOutput:
        """`slots` holds name_, image_ and sdc_ 1 to 4, where connected."""
        connected = [slot for slot in SLOTS if slots.get(f"image_{slot}") is not None]
        batch = to_batches({"original": original, **{f"image_{slot}": slots[f"image_{slot}"] for slot in connected}})
        sizes = {slot: file_sizes(f"sdc_{slot}", slots.get(f"sdc_{slot}"), len(batch)) for slot in SLOTS}
        budgets = [baseline_bytes] * len(batch) if baseline_bytes else next(filter(None, sizes.values()), None)
        names, notes = usable_baselines({"JPEG": jpeg, "WebP": webp, "AVIF": avif, "JPEG XL": jpeg_xl}, budgets)
        if not connected and not names:
            raise ValueError("Nothing to compare: connect an image to image_1.")
        lpips, about_lpips = load_lpips(lpips_network)
        progress = ProgressBar(len(batch) * (len(connected) + len(names)))

        check = comfy.model_management.throw_exception_if_processing_interrupted

        def step():
            check()
            progress.update(1)

        compared = []
        for item, images in enumerate(batch):
            entries = [
                Entry(
                    slots.get(f"name_{slot}") or f"image {slot}",
                    images[f"image_{slot}"],
                    known[item] if (known := sizes[slot]) else None,
                )
                for slot in connected
            ]
            budget = budgets[item] if budgets else None
            compared.append(compare(images["original"], entries, names, budget, lpips, step, check))
        notes += dict.fromkeys(f"\u26a0 Left out: {note}." for each in compared for note in each.notes)
        height, width = compared[0].original.shape[:2]
        _, filename, subfolder = save_under(filename_prefix, width, height, to_csv(compared), ".csv")
        table = to_markdown(compared, [*notes, f"{ABOUT_FIGURES} {about_lpips}"])
        return io.NodeOutput(
            to_image(draw_sheet(each) for each in compared),
            table,
            ui={
                "files": [ui.SavedResult(filename, subfolder, io.FolderType.output)],
                "text": [
                    *(in_one_line(each) for each in compared[:1]),
                    f"{filename}: all metrics",
                    *notes,
                ],
            },
        )


def file_sizes(name: str, sdc, count: int) -> list[int] | None:
    """Size in bytes of the file of each image in the batch; None where no SDC is connected. Raises ValueError."""
    if sdc is None:
        return None
    if len(sdc) not in (1, count):
        raise ValueError(
            f"{name} has {len(sdc)} files, but there are {count} images. Connect the SDC that they came from."
        )
    return [sdc[item % len(sdc)].num_bytes for item in range(count)]


def usable_baselines(wanted: dict[str, bool], budgets) -> tuple[list[str], list[str]]:
    """Which of the wanted baselines can be used, and notes about the others."""
    names = [name for name, on in wanted.items() if on]
    if names and not budgets:
        return [], ["\u26a0 No baselines: connect an SDC for its file size, or set baseline_bytes."]
    missing = {name: baselines.missing(name) for name in names}
    return [name for name in names if not missing[name]], [f"\u26a0 {reason}." for reason in missing.values() if reason]


def load_lpips(network: str):
    """The function of `metrics.load_lpips`, or None, and a sentence about it."""
    try:
        lpips = metrics.load_lpips(folder_paths.get_folder_paths("lpips"), network)
    except metrics.MetricUnavailable as error:
        return None, str(error)
    return lpips, f"LPIPS: version 0.1, network {network}; lower is better."


def to_image(drawn) -> torch.Tensor:
    """IMAGE (B, H, W, 3) of (h, w, 3) uint8 images; smaller ones are padded with white below and on the right."""
    drawn = list(drawn)
    height, width = (max(shown.shape[axis] for shown in drawn) for axis in (0, 1))
    image = np.ones((len(drawn), height, width, 3), np.float32)
    for item, shown in zip(image, drawn, strict=True):
        item[: shown.shape[0], : shown.shape[1]] = shown.astype(np.float32) / 255
    return torch.from_numpy(image).to(comfy.model_management.intermediate_device())
