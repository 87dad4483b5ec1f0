"""The project's own trained models, in the shape in which ComfyUI's loaders take them.

`weights/` holds an autoencoder and narrow networks. Padded with zeros to the widths of Stable Diffusion 1.5 they
compute the same numbers, and ComfyUI recognizes them. Needs torch and safetensors.
"""

import torch
from safetensors.torch import load_file

from ...codec.autoencoder.tiny_vae import SCALE, WEIGHTS

CHANNELS, TIME, CONTEXT = 320, 1280, 768  # SD 1.5
HINT_WIDTHS = (3, 16, 16, 32, 32, 96, 96, 256, CHANNELS)  # ControlNets of SD 1.5


def checkpoint() -> dict[str, torch.Tensor]:
    """Weights of an SD 1.5 checkpoint, float16: denoiser, autoencoder and text encoder, by the names in such files."""
    tensors = {f"model.diffusion_model.{name}": value for name, value in unet().items()}
    tensors |= {f"first_stage_model.{name}": value for name, value in vae().items()}
    return tensors | {
        f"cond_stage_model.transformer.text_model.{name}": value for name, value in text_encoder().items()
    }


def unet() -> dict[str, torch.Tensor]:
    """The denoiser, with the names of `comfy.ldm`'s UNetModel."""
    narrow = load_file(WEIGHTS / "sdc_tiny_unet.safetensors")
    return widened(narrow) | no_attention("input_blocks.7.1")


def controlnet() -> dict[str, torch.Tensor]:
    """Weights of a Canny ControlNet for SD 1.5, float16, with a hint of 3 channels: for what Eq. (1) has inverted."""
    narrow = load_file(WEIGHTS / "sdc_tiny_canny.safetensors")
    layers = {name: value for name, value in narrow.items() if not name.startswith("outputs.")}
    tensors = widened(layers | outputs_of(narrow, "ddim")) | no_attention("input_blocks.7.1")
    return {f"control_model.{name}": value for name, value in tensors.items()}


def exact_outputs() -> dict[str, torch.Tensor]:
    """The last layers of that ControlNet for what the exact pair has inverted, by their names in ComfyUI's network."""
    layers = outputs_of(load_file(WEIGHTS / "sdc_tiny_canny.safetensors"), "exact")
    return {name: pad(value, (*[CHANNELS] * min(2, value.ndim), *value.shape[2:])) for name, value in layers.items()}


def outputs_of(narrow: dict[str, torch.Tensor], method: str) -> dict[str, torch.Tensor]:
    start = f"outputs.{method}."
    return {name.removeprefix(start): value for name, value in narrow.items() if name.startswith(start)}


def vae() -> dict[str, torch.Tensor]:
    """The autoencoder, in TAESD's architecture: ComfyUI knows it by the names and by `vae_scale`."""
    halves = {half: load_file(WEIGHTS / f"sdc_tiny_vae_{half}.safetensors") for half in ("encoder", "decoder")}
    tensors = {f"taesd_{half}.{name}": value for half, layers in halves.items() for name, value in layers.items()}
    return tensors | {"vae_scale": torch.tensor(SCALE), "vae_shift": torch.tensor(0.0)}


def pad(value: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """`value` at the start of each axis, zeros beyond."""
    wide = value.new_zeros(shape)
    wide[tuple(slice(size) for size in value.shape)] = value
    return wide


def widened(narrow: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layers of a narrow UNet or ControlNet, zero-padded to the widths of SD 1.5.

    Every level has one width, a multiple of 20, so that the 32 groups of each norm stay whole: then the padded network
    computes the same numbers, and zeros in the other channels.
    """
    width = narrow["input_blocks.0.0.weight"].shape[0]
    time = narrow["time_embed.2.weight"].shape[0]
    sizes = {width: CHANNELS, time: TIME}
    tensors = {}
    for name, value in narrow.items():
        if name.startswith("input_hint_block."):
            layer = int(name.split(".")[1]) // 2
            shape = [HINT_WIDTHS[layer + 1], HINT_WIDTHS[layer]][: 1 if value.ndim == 1 else 2]
        else:
            shape = [sizes.get(size, size) for size in value.shape[:2]]
        if value.ndim > 1 and value.shape[1] == 2 * width or value.ndim == 1 and value.shape[0] == 2 * width:
            # After a skip connection: each narrow half goes to the start of a wide half.
            axis = value.ndim > 1
            shape[axis] = CHANNELS
            halves = [pad(half, (*shape, *value.shape[2:])) for half in value.chunk(2, dim=int(axis))]
            tensors[name] = torch.cat(halves, dim=int(axis))
        else:
            tensors[name] = pad(value, (*shape, *value.shape[2:]))
    return tensors


def no_attention(key: str) -> dict[str, torch.Tensor]:
    """The one transformer block by which ComfyUI recognizes SD 1.5; all zeros, so it adds nothing."""
    block = f"{key}.transformer_blocks.0"
    shapes: dict[str, tuple[int, ...]] = {f"{key}.norm.weight": (CHANNELS,), f"{key}.norm.bias": (CHANNELS,)}
    for name in ("proj_in", "proj_out"):
        shapes |= {f"{key}.{name}.weight": (CHANNELS, CHANNELS, 1, 1), f"{key}.{name}.bias": (CHANNELS,)}
    for name, inputs in (("attn1", CHANNELS), ("attn2", CONTEXT)):
        shapes |= {f"{block}.{name}.to_q.weight": (CHANNELS, CHANNELS)}
        shapes |= {f"{block}.{name}.to_{part}.weight": (CHANNELS, inputs) for part in "kv"}
        shapes |= {
            f"{block}.{name}.to_out.0.weight": (CHANNELS, CHANNELS),
            f"{block}.{name}.to_out.0.bias": (CHANNELS,),
        }
    shapes |= {
        f"{block}.ff.net.0.proj.weight": (8 * CHANNELS, CHANNELS),
        f"{block}.ff.net.0.proj.bias": (8 * CHANNELS,),
    }
    shapes |= {f"{block}.ff.net.2.weight": (CHANNELS, 4 * CHANNELS), f"{block}.ff.net.2.bias": (CHANNELS,)}
    for number in (1, 2, 3):
        shapes |= {f"{block}.norm{number}.{part}": (CHANNELS,) for part in ("weight", "bias")}
    return {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}


def text_encoder() -> dict[str, torch.Tensor]:
    """CLIP-L with all weights zero, so every prompt gives the same. ComfyUI leaves missing layers uninitialized."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.token_embedding.weight": (49408, 768),
        "embeddings.position_embedding.weight": (77, 768),
    }
    for number in range(12):
        layer = f"encoder.layers.{number}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= {f"{layer}.self_attn.{part}.weight": (768, 768), f"{layer}.self_attn.{part}.bias": (768,)}
        shapes |= {f"{layer}.mlp.fc1.weight": (3072, 768), f"{layer}.mlp.fc1.bias": (3072,)}
        shapes |= {f"{layer}.mlp.fc2.weight": (768, 3072), f"{layer}.mlp.fc2.bias": (768,)}
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{layer}.{norm}.{part}": (768,) for part in ("weight", "bias")}
    shapes |= {f"final_layer_norm.{part}": (768,) for part in ("weight", "bias")}
    return {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}
