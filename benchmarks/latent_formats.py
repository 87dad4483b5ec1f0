"""Latent formats of images: bytes and quality of the presets, by each one's tiny autoencoder.

Decoded and not regenerated. *best* twice: as the codec stores the latent itself, and as SD Latent Quantize stores it
when the latent's VAE is connected, which is through the small VAE of the pack; AVIF of as many bytes beside it. `bench
metadata` measures what prompts and workflows take in such files.
"""

import torch
from sdc_pack.nodes.comparison.metrics import to_pixels
from tqdm import tqdm

from dev import images

from .harness import comfy, figures
from .harness.figures import HEADER, cells_with_bytes, means
from .harness.stored import StoredImage, by_label, count_images
from .harness.tables import Table

NEEDS_IMAGES = True
PRESETS = ("best", "clean", "fine")
AUTOENCODERS = {"SD1.x": "taesd", "SDXL": "taesdxl", "SD3": "taesd3", "Flux": "taef1", "Flux2": "taef2"}
BASELINE = "AVIF"
WITH_VAE, AS_LATENT = "best with its VAE connected", "best with its VAE connected, as its latent again"


def add_arguments(parser):
    parser.add_argument(
        "--latent-formats", nargs="+", choices=AUTOENCODERS, default=list(AUTOENCODERS), metavar="NAME",
        help=f"of {', '.join(AUTOENCODERS)} (default: all)",
    )  # fmt: skip


def run(options, measurements) -> list[Table]:
    crops = images.load_crops(options.images, options.size)
    for latent_format in options.latent_formats:
        autoencoder = comfy.Autoencoder(AUTOENCODERS[latent_format])
        for name, pixels in tqdm(crops.items(), desc=latent_format, unit="image", disable=None):
            image = StoredImage(name, pixels, autoencoder, options.shared, measurements)
            image.bound(f"{latent_format}, {autoencoder.name} alone")
            for preset in PRESETS:
                image.sdc(f"{latent_format}, preset {preset}", {"preset": preset})
            used = with_vae(image, latent_format)
            image.baseline_of_size(BASELINE, used["bytes"], f"{latent_format}, {BASELINE} of as many bytes")
    return report(measurements.rows)


@torch.inference_mode()
def with_vae(image: StoredImage, latent_format: str) -> dict:
    """Figures of *best* as SD Latent Quantize stores the latent when its VAE is connected, decoded by Decode SDC."""

    def stored():
        from sdc_pack.nodes.latent_quantize import SDCLatentQuantize

        latent = {"samples": torch.from_numpy(image.latent)[None]}
        return comfy.call(SDCLatentQuantize, latent=latent, preset="best", vae=image.autoencoder.vae)

    def by_small_vae():
        from sdc_pack.nodes.decode import SDCDecode

        sdc, *_ = stored()
        shown = to_pixels(comfy.call(SDCDecode, sdc=sdc)[0][0])
        return {"bytes": sdc[0].num_bytes, **figures.measure(image.pixels, shown, image.shared)}

    def by_own_vae():
        (encoded,), latent, *_ = stored()
        shown = image.autoencoder.decode(latent["samples"][0].cpu().numpy())
        return {"bytes": encoded.num_bytes, **figures.measure(image.pixels, shown, image.shared)}

    key = {"vae": image.autoencoder.name, "preset": "best"}
    if latent_format != "SD1.x":
        image.get(f"{latent_format}, {AS_LATENT}", key, by_own_vae)
    return image.get(f"{latent_format}, {WITH_VAE}", key, by_small_vae)


def report(rows: list[dict]) -> list[Table]:
    found = by_label(rows)
    lines = [[label, *cells_with_bytes(means(values))] for label, values in found.items()]
    notes = [
        f"Means over {count_images(rows)} images, decoded by each latent format's tiny autoencoder, not regenerated.",
        "Compare presets within a format. Between formats the autoencoders differ too.",
    ]
    return [Table("Latent formats", ["", "bytes", *HEADER], lines, notes), against_baseline(found)]


def against_baseline(found: dict[str, list[dict]]) -> Table:
    """In how many images *best* has the lower LPIPS."""
    lines = []
    for latent_format in AUTOENCODERS:
        own = found.get(f"{latent_format}, {WITH_VAE}", [])
        baseline = found.get(f"{latent_format}, {BASELINE} of as many bytes", [])
        pairs = [(a["lpips"], b["lpips"]) for a, b in zip(own, baseline, strict=True) if a["lpips"] is not None]
        if pairs:
            lines.append([latent_format, f"{sum(a < b for a, b in pairs)} of {len(pairs)}"])
    notes = [f"Images in which best, with the VAE connected, has a lower LPIPS than {BASELINE} of as many bytes."]
    return Table(f"Best against {BASELINE}", ["", "lower LPIPS"], lines, notes)
