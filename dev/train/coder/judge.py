"""What trained weights are worth on photographs held out: size, error and LPIPS, and those of palettes."""

from pathlib import Path

import numpy as np
from sdc_pack import codec
from sdc_pack.codec.learned import decoder, encoder
from sdc_pack.codec.learned.weights import parse_weights
from sdc_pack.nodes.comparison import metrics

from .. import data, loop
from .formats import TrainedFormat

COLORS = (16, 64, 256)
QUALITIES = (0, 40, 80, 120, 160, 200, 255)
FRAMING = 33  # bytes of a file besides the payload
LPIPS = "alex"  # training looks through SqueezeNet


def judge(content: bytes, chosen: TrainedFormat, shared: Path, paths: list[Path]) -> list[str]:
    """Lines of a table: means over the middles of photographs, decoded by the latent format's tiny autoencoder."""
    weights = parse_weights(content)
    encode, decode = chosen.half(shared, "encoder"), chosen.half(shared, "decoder")
    lpips = metrics.load_lpips([shared / "models" / "lpips"], LPIPS)
    rows: dict[str, list] = {}
    for path in paths:
        pixels = data.pixels(path, 2)
        latent = chosen.to_latent(data.run(encode, pixels[None] / 255, loop.device())[0])
        found = {"the autoencoder alone": (0, latent)}
        for colors in COLORS:
            image = codec.encode([latent], "custom", colors=colors, dither="none", latent_format=chosen.name)[0]
            found[f"{colors} colors"] = image.num_bytes, codec.decode(image)
        for quality in QUALITIES:
            payload = encoder.encode_to_quality(latent, quality, weights)
            decoded = decoder.decode_payload(payload, *latent.shape[1:], quality, weights)
            found[f"quality {quality}"] = len(payload) + FRAMING, decoded
        for name, (size, decoded) in found.items():
            seen = data.run(decode, chosen.from_latent(decoded)[None], loop.device())[0].clamp(0, 1).permute(1, 2, 0)
            figures = metrics.measure(pixels.permute(1, 2, 0), seen, lpips)
            per_area = size / latent[0].size * 4096
            error = np.square(decoded - latent).mean() * chosen.scale**2
            rows.setdefault(name, []).append((per_area, error, figures["lpips"], figures["ssim"], figures["psnr"]))
    means = {name: np.mean(found, 0) for name, found in rows.items()}
    learned = np.array([row for name, row in means.items() if name.startswith("quality")])
    lines = [f"{chosen.name}: {len(paths)} photographs held out; bytes of 512x512"]
    for name, row in means.items():
        line = "{}: {:.0f} B, MSE {:.4f}, LPIPS {:.3f}, SSIM {:.3f}, {:.2f} dB".format(name, *row)
        if name.endswith("colors"):
            logarithms = -np.log(row[2]), -np.log(learned[:, 2]), np.log(learned[:, 0])
            same = np.exp(np.interp(*logarithms, left=np.nan, right=np.nan))
            line += f"; the learned codec has the same LPIPS at {same:.0f} B"
        lines.append(line)
    return lines
