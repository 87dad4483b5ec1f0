"""ComfyUI in this process, as its nodes see it, and the models of a bench."""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from sdc_pack.nodes.metrics import to_pixels

from dev.environment import SetupError

TRAINED = "sdc-tiny"  # how the names of the models begin that the project has trained


def start(options):
    """Make ComfyUI ready: its device, the model folders of run.py and of the shared material, folders for output.

    Call before importing `nodes`, `comfy` and the nodes of `sdc_pack`. ComfyUI itself is on the path already.
    """
    from comfy.cli_args import args

    args.cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    import folder_paths

    for models in (options.shared / "models", options.models):
        for folder in sorted(path for path in models.glob("*") if path.is_dir()):
            folder_paths.add_model_folder_path(folder.name, str(folder), is_default=True)
    scratch = Path(tempfile.mkdtemp(prefix="sdc-bench-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    folder_paths.set_output_directory(str(scratch))
    folder_paths.set_temp_directory(str(scratch))


class Autoencoder:
    """A VAE by the name that ComfyUI's Load VAE lists, for pictures of (H, W, 3) uint8 and latents of (C, h, w)."""

    LATENT_FORMATS = {"taesdxl": "SDXL", "taesd3": "SD3", "taef1": "Flux"}

    def __init__(self, name: str):
        import nodes

        listed = nodes.VAELoader.INPUT_TYPES()["required"]["vae_name"][0]
        if name not in listed:
            raise SetupError(
                f"ComfyUI has no autoencoder {name!r}, only {', '.join(listed)}. The TAESD ones are looked for in "
                "models/vae_approx under the folder that SDC_SHARED names."
            )
        self.name = name
        self.latent_format = self.LATENT_FORMATS.get(name, "SD1.x")
        self.vae = nodes.VAELoader().load_vae(name)[0]

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> np.ndarray:
        import nodes

        image = torch.from_numpy(pixels.astype(np.float32) / 255)[None]
        return nodes.VAEEncode().encode(self.vae, image)[0]["samples"][0].float().cpu().numpy()

    @torch.inference_mode()
    def decode(self, latent: np.ndarray) -> np.ndarray:
        import nodes

        return to_pixels(nodes.VAEDecode().decode(self.vae, {"samples": torch.from_numpy(latent)[None]})[0][0])


class Regenerator:
    """The decoder's second half by the pack's own nodes: DDIM Invert, then Regenerate with Canny, empty prompt."""

    def __init__(self, checkpoint: str, controlnet: str, steps: int, strength: float, canny_strength: float):
        import nodes

        self.settings = {"checkpoint": checkpoint, "controlnet": controlnet, "steps": steps, "strength": strength}
        self.settings["canny_strength"] = canny_strength
        self.model, clip, _ = nodes.CheckpointLoaderSimple().load_checkpoint(checkpoint)
        self.control_net = nodes.ControlNetLoader().load_controlnet(controlnet)[0]
        self.prompt = nodes.CLIPTextEncode().encode(clip, "")[0]

    @torch.inference_mode()
    def run(self, latent: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """(C, h, w) latent of the picture painted again; `decoded` is what the autoencoder made of the one given."""
        from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
        from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny

        image = torch.from_numpy(decoded.astype(np.float32) / 255)[None]
        noise, sigmas, inverted = call(
            SDCDDIMInvert,
            model=self.model,
            positive=self.prompt,
            latent={"samples": torch.from_numpy(latent)[None]},
            steps=self.settings["steps"],
            strength=self.settings["strength"],
        )
        painted, _ = call(
            SDCRegenerateCanny,
            model=self.model,
            positive=self.prompt,
            control_net=self.control_net,
            image=image,
            latent=inverted,
            noise=noise,
            sigmas=sigmas,
            canny_strength=self.settings["canny_strength"],
        )
        return painted["samples"][0].float().cpu().numpy()


def call(node, **inputs) -> tuple:
    """Run a node of the pack; inputs that are not given have the defaults of its schema."""
    from comfy_api.v0_0_2 import io

    defaults = {
        each.id: each.default for each in node.define_schema().inputs if getattr(each, "default", None) is not None
    }
    clone = node.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.extra_pnginfo: None}})
    return clone.execute(**{**defaults, **inputs}).result


def options_of_regenerator(parser):
    parser.add_argument("--checkpoint", metavar="NAME", help="trained model, as Load Checkpoint lists it")
    parser.add_argument("--controlnet", metavar="NAME", help="trained Canny ControlNet, as Load ControlNet lists it")
    parser.add_argument("--steps", type=int, default=50, metavar="N", help="of DDIM Invert (default: 50)")
    parser.add_argument("--strength", type=float, default=1.0, metavar="X", help="of DDIM Invert (default: 1)")
    parser.add_argument("--canny-strength", type=float, default=0.3, metavar="X", help="of Regenerate (default: 0.3)")


def find_regenerator(options) -> Regenerator | None:
    """By the models named, else by a tiny trained pair if there is one: random stand-ins say nothing of quality."""
    import folder_paths

    names = {}
    for kind, given in (("checkpoints", options.checkpoint), ("controlnet", options.controlnet)):
        listed = folder_paths.get_filename_list(kind)
        if given and given not in listed:
            raise SetupError(f"ComfyUI lists no {given!r} among its {kind}, only {', '.join(listed)}.")
        names[kind] = given or next((name for name in listed if Path(name).name.startswith(TRAINED)), None)
    if (options.checkpoint is None) != (options.controlnet is None):
        raise SetupError("--checkpoint and --controlnet go together.")
    if None in names.values():
        return None
    return Regenerator(*names.values(), options.steps, options.strength, options.canny_strength)
