"""Random models of the right shape, small enough to make on the spot.

They let every node run through ComfyUI's own loaders where no real checkpoint is. They have learnt nothing: what
they draw proves that the plumbing works and says nothing about picture quality. Needs torch and safetensors.
"""

import itertools
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

GAIN = 0.6  # small enough that eps stays smooth in its input, so that DDIM inversion behaves
CHANNELS, CONTEXT, TIME = 320, 768, 1280  # what ComfyUI recognises as SD 1.5, whatever the depth
SD1_VAE_SCALE = 0.18215


def build(models: Path, shared: Path | None = None) -> dict[str, str]:
    """Make the stand-ins under `models` unless they are there, and return {"checkpoint": name, "controlnet": name}.

    With TAESD weights under `shared`/models/vae_approx the checkpoint's autoencoder is a real, if tiny, one.
    """
    taesd = find_taesd(shared)
    names = {
        "checkpoint": "sdc-standin-taesd.ckpt" if taesd else "sdc-standin.ckpt",
        "controlnet": "sdc-standin-canny.safetensors",
    }
    for path, make in (
        (models / "checkpoints" / names["checkpoint"], lambda path: torch.save(checkpoint(taesd), path)),
        (models / "controlnet" / names["controlnet"], lambda path: save_file(controlnet(), path)),
    ):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Another process may be making the same file: swap it in whole.
            part = path.with_name(f".{os.getpid()}-{path.name}")
            make(part)
            part.replace(path)
    return names


def find_taesd(shared: Path | None) -> tuple[Path, Path] | None:
    if shared is None:
        return None
    pair = tuple(shared / f"models/vae_approx/taesd_{half}.safetensors" for half in ("encoder", "decoder"))
    return pair if all(path.is_file() for path in pair) else None


def checkpoint(taesd: tuple[Path, Path] | None) -> dict[str, torch.Tensor]:
    weights = Weights(seed=1)
    weights.trunk("model.diffusion_model.", blocks_out=True)
    weights.clip("cond_stage_model.transformer.text_model.")
    weights.vae("first_stage_model.", taesd)
    return weights.tensors


def controlnet() -> dict[str, torch.Tensor]:
    weights = Weights(seed=2)
    weights.trunk("control_model.", blocks_out=False)
    weights.hint("control_model.")
    return weights.tensors


class Weights:
    """A state dict under construction; every layer method adds that layer's tensors under a prefix."""

    def __init__(self, seed: int):
        self.tensors: dict[str, torch.Tensor] = {}
        self.random = torch.Generator().manual_seed(seed)

    def normal(self, shape, fan_in: int, gain: float = GAIN) -> torch.Tensor:
        values = torch.randn(shape, generator=self.random) * (gain / fan_in**0.5)
        return values.to(torch.float16)

    def linear(self, key: str, outputs: int, inputs: int, bias: bool = True):
        self.tensors[f"{key}.weight"] = self.normal((outputs, inputs), inputs)
        if bias:
            self.tensors[f"{key}.bias"] = torch.zeros(outputs, dtype=torch.float16)

    def conv(self, key: str, outputs: int, inputs: int, kernel: int = 3, bias: bool = True, gain: float = GAIN):
        self.tensors[f"{key}.weight"] = self.normal((outputs, inputs, kernel, kernel), inputs * kernel**2, gain)
        if bias:
            self.tensors[f"{key}.bias"] = torch.zeros(outputs, dtype=torch.float16)

    def norm(self, key: str, channels: int):
        self.tensors[f"{key}.weight"] = torch.ones(channels, dtype=torch.float16)
        self.tensors[f"{key}.bias"] = torch.zeros(channels, dtype=torch.float16)

    def resblock(self, key: str, inputs: int):
        self.norm(f"{key}.in_layers.0", inputs)
        self.conv(f"{key}.in_layers.2", CHANNELS, inputs)
        self.linear(f"{key}.emb_layers.1", CHANNELS, TIME)
        self.norm(f"{key}.out_layers.0", CHANNELS)
        self.conv(f"{key}.out_layers.3", CHANNELS, CHANNELS)
        if inputs != CHANNELS:
            self.conv(f"{key}.skip_connection", CHANNELS, inputs, kernel=1)

    def transformer(self, key: str):
        self.norm(f"{key}.norm", CHANNELS)
        self.conv(f"{key}.proj_in", CHANNELS, CHANNELS, kernel=1)
        block = f"{key}.transformer_blocks.0"
        for name, inputs in (("attn1", CHANNELS), ("attn2", CONTEXT)):
            self.linear(f"{block}.{name}.to_q", CHANNELS, CHANNELS, bias=False)
            self.linear(f"{block}.{name}.to_k", CHANNELS, inputs, bias=False)
            self.linear(f"{block}.{name}.to_v", CHANNELS, inputs, bias=False)
            self.linear(f"{block}.{name}.to_out.0", CHANNELS, CHANNELS)
        self.linear(f"{block}.ff.net.0.proj", CHANNELS * 8, CHANNELS)
        self.linear(f"{block}.ff.net.2", CHANNELS, CHANNELS * 4)
        for number in (1, 2, 3):
            self.norm(f"{block}.norm{number}", CHANNELS)
        self.conv(f"{key}.proj_out", CHANNELS, CHANNELS, kernel=1)

    def trunk(self, key: str, blocks_out: bool):
        """The UNet: one level, one residual block with its transformer; and, for the denoiser, the way out."""
        self.linear(f"{key}time_embed.0", TIME, CHANNELS)
        self.linear(f"{key}time_embed.2", TIME, TIME)
        self.conv(f"{key}input_blocks.0.0", CHANNELS, 4)
        self.resblock(f"{key}input_blocks.1.0", CHANNELS)
        self.transformer(f"{key}input_blocks.1.1")
        if blocks_out:
            self.resblock(f"{key}output_blocks.0.0", CHANNELS * 2)
            self.resblock(f"{key}output_blocks.1.0", CHANNELS * 2)
            self.norm(f"{key}out.0", CHANNELS)
            # Small, so that eps is about as smooth as a trained one: 20 steps of DDIM inversion and back then miss
            # the latent by a sixth of its norm. With eps near unit variance they would miss it altogether.
            self.conv(f"{key}out.2", 4, CHANNELS, gain=0.2)

    def hint(self, key: str):
        """What only a ControlNet has. Its "zero" convolutions are zero before training only: here they must act."""
        widths = (3, 16, 16, 32, 32, 96, 96, 256, CHANNELS)
        for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            self.conv(f"{key}input_hint_block.{number * 2}", outputs, inputs, gain=1.5)
        for number in (0, 1):
            self.conv(f"{key}zero_convs.{number}.0", CHANNELS, CHANNELS, kernel=1)
        self.resblock(f"{key}middle_block.0", CHANNELS)
        self.conv(f"{key}middle_block_out.0", CHANNELS, CHANNELS, kernel=1)

    def clip(self, key: str):
        """CLIP-L, all twelve layers of it: ComfyUI leaves missing ones uninitialised.

        Every tensor is a strided view of one of four small buffers, which torch.save stores once each: 123 million
        parameters in under a megabyte.
        """
        zero, one = torch.zeros(1, dtype=torch.float16), torch.ones(1, dtype=torch.float16)
        buffers = {inputs: self.normal((200_000,), inputs) for inputs in (768, 3072)}

        def matrix(name, outputs, inputs):
            # Rows are shifted windows of the buffer: different, though not independent.
            step = 3 if outputs > 10_000 else 37
            start = (len(self.tensors) * 101) % 10_000
            self.tensors[name] = buffers[inputs].as_strided((outputs, inputs), (step, 1), start)

        def vector(name, outputs, value):
            self.tensors[name] = value.expand(outputs)

        def linear(name, outputs, inputs):
            matrix(f"{name}.weight", outputs, inputs)
            vector(f"{name}.bias", outputs, zero)

        def norm(name):
            vector(f"{name}.weight", 768, one)
            vector(f"{name}.bias", 768, zero)

        matrix(f"{key}embeddings.token_embedding.weight", 49408, 768)
        matrix(f"{key}embeddings.position_embedding.weight", 77, 768)
        for number in range(12):
            layer = f"{key}encoder.layers.{number}"
            norm(f"{layer}.layer_norm1")
            norm(f"{layer}.layer_norm2")
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                linear(f"{layer}.self_attn.{part}", 768, 768)
            linear(f"{layer}.mlp.fc1", 3072, 768)
            linear(f"{layer}.mlp.fc2", 768, 3072)
        norm(f"{key}final_layer_norm")

    def vae(self, key: str, taesd: tuple[Path, Path] | None):
        """TAESD's architecture: 64 channels all the way, eight times smaller through three strided convolutions."""
        if taesd:
            for half, path in zip(("taesd_encoder", "taesd_decoder"), taesd, strict=True):
                self.tensors |= {f"{key}{half}.{name}": value for name, value in load_file(path).items()}
        else:
            # A random one would turn every picture black. This one averages blocks of 8x8 pixels: latent channel k is
            # 2c - 1 of colour k's mean c in 0..1, and the fourth is empty.
            same = torch.ones(1, 1)
            mean = torch.tensor([[0.0, 0, 0], [0, 1, 1], [0, 1, 1]]) / 4
            for number, layer in enumerate("c b s b b b s b b b s b b b o".split()):
                self.pooling_layer(f"{key}taesd_encoder.{number}", layer, (3, 4), mean, (1.0, 0.0), (2.0, -1.0))
            # The decoder carries the latent raised by 3, so that no ReLU cuts it.
            for number, layer in enumerate("- c - b b b - s b b b - s b b b - s b o".split()):
                self.pooling_layer(f"{key}taesd_decoder.{number}", layer, (4, 3), same, (1.0, 3.0), (0.5, -1.0))
        self.tensors[f"{key}vae_scale"] = torch.tensor(SD1_VAE_SCALE)
        self.tensors[f"{key}vae_shift"] = torch.tensor(0.0)

    def pooling_layer(self, key: str, layer: str, ends: tuple, resampling: torch.Tensor, first: tuple, last: tuple):
        """A layer that hands three channels on. c: the first, b: residual block, s: resampling, o: the last, -: none.

        `ends` are the channels that come in at c and go out at o, `resampling` is the kernel of s, `first` and `last`
        are (factor, offset) of c and o.
        """
        if layer == "c":
            self.passing_conv(key, 64, ends[0], torch.full((1, 1), first[0]), first[1])
        elif layer == "s":
            self.passing_conv(key, 64, 64, resampling)
        elif layer == "o":
            self.passing_conv(key, ends[1], 64, torch.full((1, 1), last[0]), last[1])
        elif layer == "b":
            for part in (0, 2, 4):  # nothing is added to what comes in
                self.passing_conv(f"{key}.conv.{part}", 64, 64, torch.zeros(1, 1), 0.0)

    def passing_conv(self, key: str, outputs: int, inputs: int, kernel: torch.Tensor, offset: float | None = None):
        """3x3 convolution of each of the first three channels with itself alone."""
        weight = torch.zeros(outputs, inputs, 3, 3)
        margin = (3 - kernel.shape[0]) // 2
        for channel in range(3):
            weight[channel, channel, margin : 3 - margin, margin : 3 - margin] = kernel
        self.tensors[f"{key}.weight"] = weight.to(torch.float16)
        if offset is not None:
            self.tensors[f"{key}.bias"] = torch.cat([torch.full((3,), offset), torch.zeros(outputs - 3)]).half()
