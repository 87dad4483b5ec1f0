"""What a worker does with one image: ComfyUI's own loaders and the pack's own nodes, in this process."""

import io
import time

import comfy.controlnet
import comfy.sd
import comfy.utils
import folder_paths
import nodes
import torch
from PIL import Image

from .. import codec
from ..codec.autoencoder.srgb import to_srgb
from ..codec.presets import FAST
from ..nodes.images.sizes import restore_size
from ..nodes.latents.arrays import to_latent
from ..nodes.latents.quantize import quantize
from ..nodes.metadata.embedding import embed_metadata
from ..nodes.metadata.image_files import generation_of_file
from ..nodes.regenerate import SDCRegenerate
from ..nodes.tiny import models as tiny
from ..nodes.tiny.loading import load_controlnet as load_tiny_controlnet
from . import tiles
from .places import Place

# torch's word for what ends a process's use of its card; older ones have none.
LOST = getattr(torch, "AcceleratorError", ())
Image.MAX_IMAGE_PIXELS = None  # --max-megapixels takes its place


class Work:
    """The models of a worker, and its three kinds of work. `settings` are what `command.run` gathers."""

    def __init__(self, settings: dict):
        self.settings = settings
        self.source, self.output = Place(settings["source"]), Place(settings["output"])
        if settings["cpu"]:
            torch.set_num_threads(settings["cores"])
        with torch.inference_mode():
            self.load_models(settings["checkpoint"], settings["vae"], settings["controlnet"])

    def load_models(self, checkpoint: str | None, vae: str | None, controlnet: str | None):
        """Of the small models that come with the pack, where no files are given."""
        regenerates = self.settings["command"] == "regenerate"
        if regenerates or vae is None:
            parts = {
                "output_model": regenerates, "output_clip": regenerates, "output_vae": vae is None,
                "embedding_directory": folder_paths.get_folder_paths("embeddings"),
            }  # fmt: skip
            if checkpoint is None:
                loaded = comfy.sd.load_state_dict_guess_config(tiny.checkpoint(), **parts)
            else:
                loaded = comfy.sd.load_checkpoint_guess_config(checkpoint, **parts)
            self.model, self.clip, self.vae = loaded[:3]
        if vae is not None:
            weights, metadata = comfy.utils.load_torch_file(vae, return_metadata=True)
            self.vae = comfy.sd.VAE(sd=weights, metadata=metadata)
            self.vae.throw_exception_if_invalid()
        if regenerates and controlnet is None:
            self.control_net = load_tiny_controlnet()
        elif regenerates:
            self.control_net = comfy.controlnet.load_controlnet(controlnet)
            if self.control_net is None:
                raise ValueError(f"{controlnet} holds no ControlNet that ComfyUI knows")

    def do(self, name: str, target: str) -> dict:
        """Do one image and return its figures. Whatever is wrong with it is its "error", and costs no other one."""
        started = time.monotonic()
        self.notes: list[str] = []
        try:
            if not self.settings["shards"] and self.output.has(target):
                # By a worker, or a run, that ended before it could say so.
                found = self.figures_of(name, target)
            else:
                with torch.inference_mode():
                    encoded, data = getattr(self, self.settings["command"])(name)
                found = figures(encoded) | ({"notes": "; ".join(self.notes)} if self.notes else {})
                if self.settings["shards"]:
                    found["data"] = data
                else:
                    self.output.write(target, data)
        except LOST as error:
            return {"lost": True, "error": str(error)}
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        return {**found, "seconds": round(time.monotonic() - started, 3)}

    def figures_of(self, name: str, target: str) -> dict:
        """Of a result that is there; after a look at whether it is one."""
        try:
            with self.output.open(target) as file:
                if self.settings["command"] == "compress":
                    return figures(codec.load_file(file))
                Image.open(file).verify()
        except Exception as error:
            raise ValueError(f"{target} is there already and is no result: {error}. Move it away.") from None
        return figures(self.load(name))

    def load(self, name: str) -> codec.EncodedImage:
        with self.source.open(name) as file:
            return codec.load_file(file, max_pixels=int(self.settings["max_megapixels"] * 1e6))

    def compress(self, name: str) -> tuple[codec.EncodedImage, bytes]:
        with self.source.open(name) as file, Image.open(file) as opened:
            most = self.settings["max_megapixels"]
            if opened.width * opened.height > most * 1e6:  # as its header says, before anything is decoded
                raise ValueError(f"{opened.width}x{opened.height} is more than --max-megapixels {most:g}")
            generation = generation_of_file(opened) if self.settings["keep_prompts"] else None
            pixels, self.notes = to_srgb(opened)
        latent = {"samples": tiles.encode(self.vae, pixels)}
        effort = self.settings["effort"]
        # With less effort, its shape is all that is read of an image.
        image = torch.empty(1).expand(1, *pixels.shape) if effort == FAST else torch.from_numpy(pixels)[None] / 255
        preset, latent_format = self.settings["preset"], self.settings["latent_format"]
        chosen = {} if self.settings["bpp"] is None else {"bits_per_pixel": self.settings["bpp"]}
        # Not the node, which would decode what it has coded, for an output that nothing takes here.
        (encoded,) = quantize(latent, preset, chosen, latent_format, image=image, vae=self.vae, effort=effort).images
        if generation is not None:
            encoded, _ = embed_metadata(encoded, "", False, None, False, generation)
            left_out = [generation.reason] if generation.reason else map(" ".join, generation.missing.items())
            self.notes += [f"left out of prompt and settings: {each}" for each in left_out]
        return encoded, encoded.data

    def decompress(self, name: str) -> tuple[codec.EncodedImage, bytes]:
        encoded = self.load(name)
        if self.vae.latent_channels != encoded.channels:
            raise ValueError(
                f"it is a latent of {encoded.latent_format}, with {encoded.channels} channels, and this VAE works with "
                f"{self.vae.latent_channels}: choose a VAE of {encoded.latent_format}"
            )
        image = tiles.decode(self.vae, to_latent([encoded])["samples"])
        return encoded, png(restore_size(image, [encoded]))

    def regenerate(self, name: str) -> tuple[codec.EncodedImage, bytes]:
        encoded = self.load(name)
        (positive,) = nodes.CLIPTextEncode().encode(self.clip, encoded.metadata.get("prompt", ""))
        models = {"model": self.model, "positive": positive, "vae": self.vae, "control_net": self.control_net}
        image = run_node(SDCRegenerate, sdc=[encoded], **models)[0]
        return encoded, png((image.clamp(0, 1) * 255).round().byte())


def figures(encoded: codec.EncodedImage) -> dict:
    return {"bytes": encoded.num_bytes, "bpp": round(encoded.bits_per_pixel, 4)}


def run_node(node, **inputs) -> tuple:
    """Run a node of the pack; inputs that are not given have the defaults of its schema."""
    known = {each.id: getattr(each, "default", None) for each in node.define_schema().inputs}
    defaults = {key: value for key, value in known.items() if value is not None}
    return node.execute(**{**defaults, **inputs}).result


def png(image: torch.Tensor) -> bytes:
    """The file of an image (1, H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(image[0].cpu().numpy()).save(buffer, "PNG")
    return buffer.getvalue()
