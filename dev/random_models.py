"""Random models of the right shape, small enough to make on the spot.

They let every node run through ComfyUI's own loaders where no real checkpoint is. They have learned nothing: what
they draw proves that the plumbing works and says nothing about image quality. Only their autoencoder is trained, that
of `weights/`. Needs torch and safetensors.
"""

import itertools
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from sdc_pack.nodes.tiny import models

NAMES = {"checkpoint": "sdc-random.ckpt", "controlnet": "sdc-random-canny.safetensors"}
GAIN = 0.6  # small enough that eps stays smooth in its input, so that DDIM inversion behaves
# Small, so that eps is about as smooth as a trained one: 20 steps of DDIM inversion and back then miss the latent by a
# sixth of its norm. With eps near unit variance they would miss it altogether.
LAST_GAIN = 0.2
HINT_GAIN = 1.5  # a ControlNet's "zero" convolutions are zero before training only: here they must act
CHANNELS, CONTEXT, TIME = 320, 768, 1280  # what ComfyUI recognizes as SD 1.5, whatever the depth


def build(models: Path) -> dict[str, str]:
    """Make the random models under `models` unless they are there, and return NAMES."""
    for path, make in (
        (models / "checkpoints" / NAMES["checkpoint"], lambda path: torch.save(checkpoint(), path)),
        (models / "controlnet" / NAMES["controlnet"], lambda path: save_file(controlnet(), path)),
    ):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Another process may be making the same file: swap it in whole.
            part = path.with_name(f".{os.getpid()}-{path.name}")
            make(part)
            part.replace(path)
    return NAMES


def checkpoint() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    way_out = resblock("output_blocks.0.0", 2 * CHANNELS) | resblock("output_blocks.1.0", 2 * CHANNELS)
    way_out |= {"out.0": (CHANNELS,), "out.2": (4, CHANNELS, 3, 3)}
    tensors = {f"model.diffusion_model.{name}": value for name, value in filled(way_in() | way_out, random).items()}
    tensors |= {f"cond_stage_model.transformer.text_model.{name}": v for name, v in text_encoder(random).items()}
    return tensors | {f"first_stage_model.{name}": value for name, value in models.vae().items()}


def controlnet() -> dict[str, torch.Tensor]:
    widths = itertools.pairwise(models.HINT_WIDTHS)
    hint = {f"input_hint_block.{2 * number}": (out, inputs, 3, 3) for number, (inputs, out) in enumerate(widths)}
    zero = (CHANNELS, CHANNELS, 1, 1)
    layers = way_in() | hint | {"zero_convs.0.0": zero, "zero_convs.1.0": zero}
    layers |= resblock("middle_block.0", CHANNELS) | {"middle_block_out.0": zero}
    random = torch.Generator().manual_seed(2)
    return {f"control_model.{name}": value for name, value in filled(layers, random).items()}


def way_in() -> dict[str, tuple[int, ...]]:
    """Layer -> shape of its weight: one level, one residual block with its transformer."""
    key = "input_blocks.1.1"
    block, square = f"{key}.transformer_blocks.0", (CHANNELS, CHANNELS)
    layers = {"time_embed.0": (TIME, CHANNELS), "time_embed.2": (TIME, TIME), "input_blocks.0.0": (CHANNELS, 4, 3, 3)}
    layers |= resblock("input_blocks.1.0", CHANNELS)
    layers |= {f"{key}.norm": (CHANNELS,), f"{key}.proj_in": (*square, 1, 1)}
    for name, inputs in (("attn1", CHANNELS), ("attn2", CONTEXT)):
        layers |= {f"{block}.{name}.to_q": square, f"{block}.{name}.to_k": (CHANNELS, inputs)}
        layers |= {f"{block}.{name}.to_v": (CHANNELS, inputs), f"{block}.{name}.to_out.0": square}
    layers |= {f"{block}.ff.net.0.proj": (8 * CHANNELS, CHANNELS), f"{block}.ff.net.2": (CHANNELS, 4 * CHANNELS)}
    layers |= {f"{block}.norm{number}": (CHANNELS,) for number in (1, 2, 3)}
    return layers | {f"{key}.proj_out": (*square, 1, 1)}


def resblock(key: str, inputs: int) -> dict[str, tuple[int, ...]]:
    layers = {f"{key}.in_layers.0": (inputs,), f"{key}.in_layers.2": (CHANNELS, inputs, 3, 3)}
    layers |= {f"{key}.emb_layers.1": (CHANNELS, TIME), f"{key}.out_layers.0": (CHANNELS,)}
    layers[f"{key}.out_layers.3"] = (CHANNELS, CHANNELS, 3, 3)
    return layers if inputs == CHANNELS else layers | {f"{key}.skip_connection": (CHANNELS, inputs, 1, 1)}


def filled(layers: dict[str, tuple[int, ...]], random: torch.Generator) -> dict[str, torch.Tensor]:
    """Weights N(0, gain^2 / fan_in), unit norms, zero biases."""
    tensors = {}
    for name, shape in layers.items():
        gain = LAST_GAIN if name == "out.2" else HINT_GAIN if name.startswith("input_hint") else GAIN
        weight = torch.ones(shape) if len(shape) == 1 else normal(shape, gain, random)
        tensors[f"{name}.weight"] = weight.half()
        if not name.endswith(("to_q", "to_k", "to_v")):
            tensors[f"{name}.bias"] = torch.zeros(shape[0], dtype=torch.float16)
    return tensors


def normal(shape: tuple[int, ...], gain: float, random: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=random) * (gain / (torch.Size(shape[1:]).numel() ** 0.5))


def text_encoder(random: torch.Generator) -> dict[str, torch.Tensor]:
    """CLIP-L, all twelve layers of it: ComfyUI leaves missing ones uninitialized.

    Every tensor is a strided view of one of four small buffers, which torch.save stores once each: 123 million
    parameters in under a megabyte.
    """
    constants = {"weight": torch.ones(1, dtype=torch.float16), "bias": torch.zeros(1, dtype=torch.float16)}
    buffers = {inputs: (torch.randn(200_000, generator=random) * (GAIN / inputs**0.5)).half() for inputs in (768, 3072)}
    tensors = {}
    for number, (name, shape) in enumerate((n, value.shape) for n, value in models.text_encoder().items()):
        if len(shape) == 1:
            tensors[name] = constants[name.rpartition(".")[2]].expand(shape)
        else:
            # Rows are shifted windows of the buffer: different, though not independent.
            step = 3 if shape[0] > 10_000 else 37
            tensors[name] = buffers[shape[1]].as_strided(shape, (step, 1), number * 101 % 10_000)
    return tensors
