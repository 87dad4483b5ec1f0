"""ComfyUI in this process, and the models of a bench."""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from sdc_pack.nodes.comparison.metrics import to_pixels

from dev import accelerator
from dev.environment import SetupError


def start(options):
    """Make ComfyUI ready: its device, the model folders of run.py and of SDC_SHARED, a scratch folder for output.

    Only then may `nodes`, `comfy` and the nodes of `sdc_pack` be imported. ComfyUI itself is on the path already.
    """
    from comfy.cli_args import args

    args.cpu = accelerator.kind() is None
    import folder_paths

    for models in (options.shared / "models", options.models):
        for folder in sorted(path for path in models.glob("*") if path.is_dir()):
            folder_paths.add_model_folder_path(folder.name, str(folder), is_default=True)
    scratch = Path(tempfile.mkdtemp(prefix="sdc-bench-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    folder_paths.set_output_directory(str(scratch))
    folder_paths.set_temp_directory(str(scratch))


class Autoencoder:
    """A VAE for images of (H, W, 3) uint8 and latents of (C, h, w).

    `name` is as ComfyUI's Load VAE lists it; or `vae` is that of the SD 1.x checkpoint called `name`.
    """

    LATENT_FORMATS = {"taesdxl": "SDXL", "taesd3": "SD3", "taef1": "Flux", "taef2": "Flux2"}

    def __init__(self, name: str, vae=None):
        self.name = name
        self.latent_format = self.LATENT_FORMATS.get(name, "SD1.x")
        self.vae = vae or self.load(name)

    @staticmethod
    def load(name: str):
        import nodes

        listed = nodes.VAELoader.INPUT_TYPES()["required"]["vae_name"][0]
        if name not in listed:
            raise SetupError(
                f"ComfyUI has no autoencoder {name!r}, only {', '.join(listed)}. The TAESD ones are expected in "
                "models/vae_approx under the folder that SDC_SHARED names."
            )
        return nodes.VAELoader().load_vae(name)[0]

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> np.ndarray:
        import nodes

        image = torch.from_numpy(pixels.astype(np.float32) / 255)[None]
        return nodes.VAEEncode().encode(self.vae, image)[0]["samples"][0].float().cpu().numpy()

    def decode(self, latent: np.ndarray) -> np.ndarray:
        return to_pixels(self._decode(latent))

    def decode_exactly(self, latent: np.ndarray) -> np.ndarray:
        """Pixels (H, W, 3) float32 in 0..1, before they are rounded to bytes."""
        return self._decode(latent).float().clamp(0, 1).cpu().numpy()

    @torch.inference_mode()
    def _decode(self, latent: np.ndarray) -> torch.Tensor:
        import nodes

        return nodes.VAEDecode().decode(self.vae, {"samples": torch.from_numpy(latent)[None]})[0][0]


def call(node, **inputs) -> tuple:
    """Run a node of the pack; inputs that are not given have the defaults of its schema."""
    from comfy_api.v0_0_2 import io

    defaults = {
        each.id: each.default for each in node.define_schema().inputs if getattr(each, "default", None) is not None
    }
    clone = node.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.extra_pnginfo: None}})
    return clone.execute(**{**defaults, **inputs}).result


def count_calls(model) -> list:
    """A list that has one more entry after each call of the model."""
    calls = []

    def wrapper(apply_model, given):
        calls.append(None)
        return apply_model(given["input"], given["timestep"], **given["c"])

    model.set_model_unet_function_wrapper(wrapper)
    return calls
