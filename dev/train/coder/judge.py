"""What trained weights are worth on photographs held out: size, error and LPIPS beside palettes of the same latents."""

from pathlib import Path

import numpy as np
import torch
from sdc_pack import codec
from sdc_pack.codec.learned import decoder, encoder
from sdc_pack.codec.learned.weights import parse_weights
from sdc_pack.nodes.comparison import metrics

from . import photographs
from .families import Family

COLORS = (16, 64, 256)
SETTINGS = (0, 40, 80, 120, 160, 200, 255)  # qualities
FRAMING = 33  # bytes of a file besides the payload
LPIPS = "alex"  # training looks through SqueezeNet


def judge(data: bytes, family: Family, shared: Path, paths: list[Path]) -> list[str]:
    """Lines of a table: means over the middles of photographs, decoded by the family's tiny autoencoder."""
    weights = parse_weights(data)
    encode, decode = family.half(shared, "encoder"), family.half(shared, "decoder")
    lpips = metrics.load_lpips([shared / "models" / "lpips"], LPIPS)
    rows: dict[tuple[str, int], list] = {}
    for path in paths:
        pixels = photographs.load(path, 2)
        latent = family.to_latent(photographs.encode(encode, pixels))
        found = {("autoencoder", 0): (0, latent)}
        for colors in COLORS:
            image = codec.encode([latent], "custom", colors=colors, dither="none", latent_format=family.name)[0]
            found["palette", colors] = image.num_bytes, codec.decode(image)
        for quality in SETTINGS:
            payload = encoder.encode_to_quality(latent, quality, weights)
            decoded = decoder.decode_payload(payload, *latent.shape[1:], quality, weights)
            found["quality", quality] = len(payload) + FRAMING, decoded
        for key, (size, decoded) in found.items():
            with torch.no_grad():
                seen = decode(family.from_latent(decoded)[None])[0].clamp(0, 1).permute(1, 2, 0)
            figures = metrics.measure(pixels, seen, lpips)
            error = np.square(decoded - latent).mean() * family.scale**2
            rows.setdefault(key, []).append((size, error, figures["lpips"], figures["ssim"], figures["psnr"]))
    means = {key: np.mean(found, 0) for key, found in rows.items()}
    learned = np.array([means["quality", quality] for quality in SETTINGS])
    area = sum(pixels_of(path) for path in paths) / len(paths)
    lines = [f"{family.name}: {len(paths)} photographs held out, {area / 512**2:.2f} of 512x512 in the mean"]
    for (kind, setting), (size, error, distance, ssim, psnr) in means.items():
        line = f"{kind} {setting}: {size:.0f} B, MSE {error:.4f}, LPIPS {distance:.3f}, SSIM {ssim:.3f}, {psnr:.2f} dB"
        if kind == "palette":
            alike = (size_at(learned, column, value) for column, value in ((1, error), (2, distance)))
            line += "; learned has the same MSE at {:.0f} B, the same LPIPS at {:.0f} B".format(*alike)
        lines.append(line)
    return lines


def pixels_of(path: Path) -> int:
    height, width, _ = photographs.load(path, 2).shape
    return height * width


def size_at(rows: np.ndarray, column: int, value: float) -> float:
    """Bytes at which a falling figure has a value, NaN beyond the qualities that were measured."""
    at = np.interp(-np.log(value), -np.log(rows[:, column]), np.log(rows[:, 0]), left=np.nan, right=np.nan)
    return float(np.exp(at))
