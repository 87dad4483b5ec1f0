"""The decoder's second half by the pack's own nodes: DDIM Invert, then Regenerate with Canny, empty prompt."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.tiny import install

from dev.environment import SetupError
from dev.train import networks

from .comfy import call, count_calls

DDIM, EXACT_PAIR = "DDIM", "exact pair"  # of DDIM Invert, whose modules need a ComfyUI that has been set up


@dataclass(frozen=True)
class Setting:
    """What DDIM Invert and Regenerate with Canny are set to.

    With 0 steps nothing is inverted: the decoded latent is treated as one with noise of sigma `strength`, and the model
    is called once.
    """

    steps: int
    strength: float
    canny_strength: float
    method: str = DDIM

    @classmethod
    def parse(cls, text: str):
        steps, strength, canny_strength, *exact = text.split(":")
        if exact not in ([], ["exact"]):
            raise ValueError(text)
        return cls(int(steps), float(strength), float(canny_strength), EXACT_PAIR if exact else DDIM)

    def __str__(self):
        how = f"{self.steps} steps, strength {self.strength:g}" if self.steps else f"once at sigma {self.strength:g}"
        return f"{how}, canny strength {self.canny_strength:g}{', exact pair' if self.method == EXACT_PAIR else ''}"


PAPER_SETTING = Setting(50, 1.0, 0.3)  # 50 steps at full strength, as in the paper, and a small Canny strength
# The lowest LPIPS with the tiny models on the photographs that `run.py train` holds out, of the settings that keep the
# SSIM; docs/results.md has them all.
BEST = Setting(13, 0.15, 1.0)
EXACT = replace(BEST, method=EXACT_PAIR)  # for the learned codec


class Regenerator:
    """A checkpoint and a ControlNet by the names that ComfyUI lists."""

    def __init__(self, checkpoint: str, controlnet: str):
        import nodes

        self.key = {"checkpoint": checkpoint, "controlnet": controlnet}
        self.model, clip, self.vae = nodes.CheckpointLoaderSimple().load_checkpoint(checkpoint)[:3]
        self.control_net = nodes.ControlNetLoader().load_controlnet(controlnet)[0]
        self.prompt = nodes.CLIPTextEncode().encode(clip, "")[0]
        if [checkpoint, controlnet] == [install.NAMES["checkpoint"], install.NAMES["controlnet"]]:
            self.key["weights"] = install.fingerprint()
            use_narrow_networks(self.model, self.control_net)

    @torch.inference_mode()
    def run(self, latent: np.ndarray, decoded: np.ndarray, setting: Setting) -> tuple[np.ndarray, int]:
        """Regenerate a (C, h, w) latent; `decoded` is the (H, W, 3) uint8 image it decodes to.

        Returns the new latent and the number of UNet calls.
        """
        from comfy_extras.nodes_custom_sampler import DisableNoise
        from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
        from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny

        model = self.model.clone()
        calls = count_calls(model)
        if isinstance(self.control_net.control_model, NarrowControlNet):
            self.control_net.control_model.method = "exact" if setting.method == EXACT_PAIR else "ddim"
        samples = {"samples": torch.from_numpy(latent)[None]}
        common = {"model": model, "positive": self.prompt}
        if setting.steps:
            noise, sigmas, samples = call(
                SDCDDIMInvert, **common, latent=samples, steps=setting.steps, strength=setting.strength,
                method=setting.method,
            )[:3]  # fmt: skip
        else:
            noise, sigmas = DisableNoise.execute().result[0], torch.tensor([setting.strength, 0.0])
        regenerated = call(
            SDCRegenerateCanny,
            **common,
            noise=noise,
            control_net=self.control_net,
            image=torch.from_numpy(decoded.astype(np.float32) / 255)[None],
            latent=samples,
            sigmas=sigmas,
            canny_strength=setting.canny_strength,
        )[0]
        return regenerated["samples"][0].float().cpu().numpy(), len(calls)

    def key_of(self, setting: Setting) -> dict:
        return {**self.key, **asdict(setting)}


def use_narrow_networks(model, control_net):
    """Let ComfyUI call the tiny networks as they were trained, in a fraction of the time of the padded ones.

    tests/nodes/tiny/test_models.py shows that both compute the same.
    """

    def load(network, file):
        weights = load_file(tiny_vae.WEIGHTS / file)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
        return network.eval().requires_grad_(False).to(model.load_device, memory_format=torch.channels_last)

    model.model.diffusion_model = NarrowUNet(load(networks.UNet(), "sdc_tiny_unet.safetensors"))
    control_net.control_model = NarrowControlNet(load(networks.ControlNet(), "sdc_tiny_canny.safetensors"))


class NarrowUNet(torch.nn.Module):
    dtype = torch.float32

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, timesteps, context=None, control=None, **_):
        if control is not None:
            control = control["output"], control["middle"][0]
        return self.network(x.float(), timesteps, control)


class NarrowControlNet(NarrowUNet):
    method = "ddim"

    def forward(self, x, hint, timesteps, **_):
        skips, middle = self.network(x.float(), timesteps, hint.float(), self.method)
        return {"output": skips, "middle": [middle]}


def add_options(parser):
    names = install.NAMES
    for option, loader in (("checkpoint", "Checkpoint"), ("controlnet", "ControlNet")):
        about = f"as Load {loader} lists it, or a file"
        parser.add_argument(f"--{option}", default=names[option], metavar="NAME", help=about)


def load_regenerator(options) -> Regenerator:
    """By the names or files in `options.checkpoint` and `options.controlnet`."""
    return Regenerator(listed("checkpoints", options.checkpoint), listed("controlnet", options.controlnet))


def listed(kind: str, given: str) -> str:
    """The name by which ComfyUI lists a model of this kind. For a file, its folder becomes a model folder."""
    import folder_paths

    file = Path(given)
    if file.is_file() and given not in folder_paths.get_filename_list(kind):
        folder_paths.add_model_folder_path(kind, str(file.absolute().parent), is_default=True)
        given = file.name
    names = folder_paths.get_filename_list(kind)
    if given not in names:
        raise SetupError(f"There is no file {given}, and ComfyUI lists no such {kind}, only {', '.join(names)}.")
    return given
