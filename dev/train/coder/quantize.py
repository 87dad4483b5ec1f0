"""From a learned codec to its file of weights: integers, and tables fitted to what the encoder really writes."""

import io
import math
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
from sdc_pack.codec.autoencoder.learned_network import INDEX
from sdc_pack.codec.autoencoder.learned_network import SCALES as SCALE_RANGE
from sdc_pack.codec.learned import decoder, encoder
from sdc_pack.codec.learned.layers import LIMITS
from sdc_pack.codec.learned.weights import MAX_COEFFICIENT, QUALITIES, SCALES, UNIT, parse_weights

from .model import ANCHORS, Coder

ZERO_RATE = 4  # tables below this one are not coded
MAX_INPUTS = {np.int8: 1023, np.int16: 4095}  # largest activation aimed at
COUNTED = 48  # training latents that the tables are fitted to
MEASURED = (0, 24, 56, 88, 120, 152, 184, 216, 255)  # qualities
PRIOR = 150  # symbols that the logistic distribution counts for in a table


def activations(network, batch):
    """Largest magnitude, less the outermost outliers, of the input of every convolution."""
    found, hooks = {}, []

    def watch(name):
        def hook(_module, inputs):
            x = inputs[0].float()
            top = max(x.flatten()[:: max(1, x.numel() // 200_000)].quantile(0.9999).item(), 0.9 * x.max().item())
            found[name] = max(found.get(name, 0.0), top)

        return hook

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            hooks.append(module.register_forward_pre_hook(watch(name)))
    with torch.no_grad():
        for q in (0.0, 0.3, 0.6, 1.0):
            network(batch, torch.full((len(batch),), q), hard=True)
    for hook in hooks:
        hook.remove()
    return found


def integers(module, kind, top: float | None, output_scale) -> dict[str, np.ndarray]:
    """A layer of the decoder by the names of a file. `top` is the largest input to expect; None: coefficients."""
    w = module.weight.detach().double()
    w = w.permute(2, 3, 1, 0).reshape(-1, w.shape[0]).numpy()  # (taps * inputs, outputs)
    unit = np.maximum(np.abs(w).max(0), 1e-9) / np.iinfo(kind).max
    whole = np.rint(w / unit).astype(kind)
    real = np.float32 if kind is np.int8 else np.float64
    if top is None:
        max_input, scale = MAX_COEFFICIENT, float(UNIT)
    else:
        reach = np.abs(whole.astype(np.int64)).sum(0).max()
        max_input = int(min(MAX_INPUTS[kind], (LIMITS[np.dtype(real)] - 1) // reach))
        scale = float(np.float32(max_input / top))
    bias = module.bias.detach().double().numpy() * output_scale
    return {
        "w": whole, "m": (unit * output_scale / scale).astype(real), "b": bias.astype(real),
        "max_input": np.int32(max_input), "scale": np.float32(scale),
    }  # fmt: skip


def logistic_tables():
    """Frequencies of the integers under logistic distributions, at their start."""
    tables = []
    for number in range(SCALES):
        s = SCALE_RANGE[0] * math.exp(INDEX * number)
        reach = min(255, int(9 * s) + 2)
        k = np.arange(-reach, reach + 1)
        p = logistic(k + 0.5, s) - logistic(k - 0.5, s)
        tables.append(whole_frequencies(np.append(p, max(1e-9, 1 - p.sum()))))
    return tables


def logistic(x, scale):
    return 1 / (1 + np.exp(np.clip(-x / scale, -700, 700)))


def whole_frequencies(p):
    """Integers of at least 1 that add up to 65536, near p."""
    f = np.maximum(1, np.rint(p / p.sum() * 65536)).astype(np.int64)
    f[f.argmax()] += 65536 - f.sum()
    return f


def gains(network, batch, metric, q=0.45):
    """What a squared unit of each coefficient adds to the distortion of a latent."""
    network.eval()
    found = []
    with torch.no_grad():
        x = F.pixel_unshuffle(batch, 2)
        quality = torch.full((len(batch),), q)
        plane = (2 * quality - 1)[:, None, None, None].expand(-1, 1, *x.shape[-2:])
        log_step = network.steps(quality)
        y, _ = network.code(network.analysis(x), log_step, plane, True)
        base = network.synthesis(y, plane)
        for channel in range(y.shape[1]):
            noise = torch.zeros_like(y)
            noise[:, channel] = (torch.rand_like(y[:, channel]) - 0.5) * log_step[:, channel].exp()
            error = F.pixel_shuffle(network.synthesis(y + noise, plane) - base, 2)
            found.append((torch.einsum("bihw,ij,bjhw->", error, metric, error) / noise.square().sum()).item())
    return np.array(found, np.float32)


def to_file(network: Coder, chosen, latents, held_out, metric: torch.Tensor) -> bytes:
    """The content of a file of weights.

    Parameters
    ----------
    chosen : TrainedFormat
    latents, held_out : lists of (C, h, w) tensors
        What the tables are fitted to, and what errors are measured on.
    metric : (C, C) tensor
    """
    network.eval()
    batch = torch.stack([m[:, :32, :32].float() for m in latents[:: max(1, len(latents) // 40)]])
    top = activations(network, batch)
    arrays = {"channels": np.int32(batch.shape[1]), "zero_rate": np.int32(ZERO_RATE), "shift": np.float32(chosen.shift)}
    arrays |= {"latent_format": np.array(chosen.name), "scale": np.float32(chosen.scale)}
    arrays["groups"] = np.array(network.groups, np.int32)
    arrays["errors"] = np.ones(QUALITIES, np.float32)
    for name, path, kind, output_scale in network.layers(chosen.scale):
        sees_coefficients = name in ("s.head", "s.linear") or name[0] == "c" and name.endswith(".first")
        largest = None if sees_coefficients else top[path]
        made = integers(network.get_submodule(path), kind, largest, output_scale)
        arrays |= {f"{name}.{part}": value for part, value in made.items()}
    arrays["s.linear.b"] += chosen.shift
    q = torch.arange(QUALITIES) / QUALITIES
    steps = np.maximum(1, np.rint(network.steps(q).exp()[..., 0, 0].detach().double().numpy() * UNIT))
    arrays["steps"] = steps.astype(np.uint16)
    arrays["log_steps"] = ((np.log(steps / UNIT) + math.log(SCALE_RANGE[0])) / INDEX).astype(np.float32)
    arrays["lambdas"] = network.lambda_of(q).numpy().astype(np.float32)
    arrays["gains"] = gains(network, batch[:8], metric)
    arrays["a.linear.w"] = network.analysis.weight.detach()[..., 0, 0].T.contiguous().half().numpy()
    arrays["a.linear.b"] = network.analysis.bias.detach().float().numpy()
    tables = logistic_tables()
    arrays["tables.lengths"] = np.array([len(table) for table in tables], np.int32)
    arrays["tables.frequencies"] = np.concatenate(tables).astype(np.uint16)
    counted = latents[:: max(1, len(latents) // COUNTED)][:COUNTED]
    fit_tables(arrays, [chosen.to_latent(z[:, :48, :48]) for z in counted])
    arrays["errors"] = errors(arrays, [chosen.to_latent(z) for z in held_out])
    return pack(arrays)


def from_file(content: bytes, chosen) -> Coder:
    """The network that a file of weights was made from, but for what rounding to integers took."""
    network = Coder(chosen.channels, parse_weights(content).groups, chosen.lambdas)
    steps = network.read(content)
    places = np.linspace(0, QUALITIES, ANCHORS)
    log_steps = np.log(steps.astype(np.float64) / UNIT)
    anchors = [np.interp(places, np.arange(QUALITIES), column) for column in log_steps.T]
    network.log_steps.data.copy_(torch.from_numpy(np.stack(anchors, 1).astype(np.float32)))
    return network.to(memory_format=torch.channels_last)


def pack(arrays) -> bytes:
    """The arrays as numpy.savez_compressed has them, but for room that is kept in case an array had gigabytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            array = io.BytesIO()
            np.lib.format.write_array(array, np.asarray(value), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def errors(arrays, latents) -> np.ndarray:
    """(256,) RMS error in ComfyUI's latent at each quality, between those measured by its logarithm."""
    weights, known = parse_weights(pack(arrays)), []
    for quality in MEASURED:
        squares = []
        for latent in latents:
            payload = encoder.encode_to_quality(latent, quality, weights)
            decoded = decoder.decode_payload(payload, *latent.shape[1:], quality, weights)
            squares.append(np.square(decoded - latent).mean())
        known.append(0.5 * math.log(np.mean(squares)))
    return np.exp(np.interp(np.arange(QUALITIES), MEASURED, known)).astype(np.float32)


def fit_tables(arrays, latents):
    """Replace the logistic tables by what the encoder really writes."""
    weights = parse_weights(pack(arrays))
    counts = [np.zeros(2 * k + 2) for k in weights.tables.reach]
    for number, latent in enumerate(latents):
        quantizer = encoder.LatentQuantizer(latent, weights)
        for quality in (20 + number % 3 * 15, 90 + number % 3 * 15, 150 + number % 3 * 30):
            for tables, symbols in quantizer.code(quality)[0]:
                tables, symbols = np.array(tables), np.array(symbols)
                for table in np.unique(tables):
                    k = weights.tables.reach[table]
                    chosen = symbols[tables == table]
                    inside = np.abs(chosen) <= k
                    counts[table] += np.bincount(np.where(inside, chosen + k, 2 * k + 1), minlength=2 * k + 2)
    fitted = []
    for number, count in enumerate(counts):
        own = arrays["tables.frequencies"][sum(arrays["tables.lengths"][:number]) :][: len(count)] / 65536
        both = count.copy()
        both[:-1] = (both[:-1] + both[:-1][::-1]) / 2  # symmetric
        candidates = [whole_frequencies(both + own * prior) for prior in (PRIOR, 10 * PRIOR, 100 * PRIOR, 1e9)]
        fitted.append(min(candidates, key=lambda f: (count * -np.log2(f)).sum()))
    before = sum((c * -np.log2(np.maximum(f, 1) / 65536)).sum() for c, f in zip(counts, split(arrays), strict=True))
    after = sum((c * -np.log2(f / 65536)).sum() for c, f in zip(counts, fitted, strict=True))
    print(f"tables: {before / 8:.0f} B logistic, {after / 8:.0f} B fitted", flush=True)
    arrays["tables.frequencies"] = np.concatenate(fitted).astype(np.uint16)


def split(arrays):
    return np.split(arrays["tables.frequencies"].astype(np.int64), np.cumsum(arrays["tables.lengths"])[:-1])
