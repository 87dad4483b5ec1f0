"""What a worker does with one image: ComfyUI's own loaders and the pack's own nodes, in this process."""

import io
import json
import time

import comfy.controlnet
import comfy.sd
import comfy.utils
import folder_paths
import nodes
import numpy as np
import torch
from PIL import Image, ImageOps
from sdc_pack import codec
from sdc_pack.nodes.decode import SDCDecode
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.metadata.embedding import embed_metadata
from sdc_pack.nodes.metadata.prompt_graph import find_generation
from sdc_pack.nodes.regenerate import SDCRegenerate

from .places import place

# torch's word for what ends a process's use of its card; older ones have none.
LOST = getattr(torch, "AcceleratorError", ())


class Work:
    """The models of a worker, and its three kinds of work. `settings` are what `command.run` gathers."""

    def __init__(self, settings: dict):
        self.settings = settings
        self.source, self.output = place(settings["source"]), place(settings["output"])
        if settings["cpu"]:
            torch.set_num_threads(settings["cores"])
        regenerates = settings["command"] == "regenerate"
        with torch.inference_mode():
            if settings["vae"] is None or regenerates:
                self.model, self.clip, self.vae, _ = comfy.sd.load_checkpoint_guess_config(
                    settings["checkpoint"], output_vae=settings["vae"] is None, output_clip=regenerates,
                    output_model=regenerates, embedding_directory=folder_paths.get_folder_paths("embeddings"),
                )  # fmt: skip
            if settings["vae"] is not None:
                weights, metadata = comfy.utils.load_torch_file(settings["vae"], return_metadata=True)
                self.vae = comfy.sd.VAE(sd=weights, metadata=metadata)
                self.vae.throw_exception_if_invalid()
            if regenerates:
                controlnet = settings["controlnet"]
                self.control_net = comfy.controlnet.load_controlnet(controlnet)
                if self.control_net is None:
                    raise ValueError(f"{controlnet} holds no ControlNet that ComfyUI knows")

    def do(self, name: str, target: str) -> dict:
        """Do one image and return its figures. Whatever is wrong with it is its "error", and costs no other one."""
        started = time.monotonic()
        try:
            if not self.settings["shards"] and self.output.has(target):
                # By a worker, or a run, that ended before it could say so.
                found = self.figures_of(name, target)
            else:
                with torch.inference_mode():
                    encoded, data = getattr(self, self.settings["command"])(name)
                found = figures(encoded)
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
            return codec.load_file(file)

    def compress(self, name: str) -> tuple[codec.EncodedImage, bytes]:
        with self.source.open(name) as file, Image.open(file) as opened:
            generation = generation_of_file(opened) if self.settings["keep_prompts"] else None
            pixels = np.array(ImageOps.exif_transpose(opened).convert("RGB"), np.float32) / 255
        image = torch.from_numpy(pixels)[None]
        (latent,) = nodes.VAEEncode().encode(self.vae, image)
        chosen = {"preset": self.settings["preset"], "latent_format": self.settings["latent_format"]}
        if self.settings["bpp"] is not None:
            chosen["bits_per_pixel"] = self.settings["bpp"]
        (encoded,) = run_node(SDCLatentQuantize, latent=latent, image=image, vae=self.vae, **chosen)[0]
        if generation:
            encoded, _ = embed_metadata(encoded, "", False, None, False, generation)
        return encoded, encoded.data

    def decompress(self, name: str) -> tuple[codec.EncodedImage, bytes]:
        encoded = self.load(name)
        return encoded, png(run_node(SDCDecode, sdc=[encoded], vae=self.vae)[0])

    def regenerate(self, name: str) -> tuple[codec.EncodedImage, bytes]:
        encoded = self.load(name)
        (positive,) = nodes.CLIPTextEncode().encode(self.clip, encoded.metadata.get("prompt", ""))
        models = {"model": self.model, "positive": positive, "vae": self.vae, "control_net": self.control_net}
        return encoded, png(run_node(SDCRegenerate, sdc=[encoded], **models)[0])


def figures(encoded: codec.EncodedImage) -> dict:
    return {"bytes": encoded.size, "bpp": round(encoded.bits_per_pixel, 4)}


def run_node(node, **inputs) -> tuple:
    """Run a node of the pack; inputs that are not given have the defaults of its schema."""
    known = {each.id: getattr(each, "default", None) for each in node.define_schema().inputs}
    defaults = {key: value for key, value in known.items() if value is not None}
    return node.execute(**{**defaults, **inputs}).result


def generation_of_file(encoded: Image.Image) -> dict:
    """How ComfyUI made a PNG, by the graph that it keeps inside; empty where there is none."""
    try:
        graph = json.loads(encoded.info["prompt"])
        return find_generation(graph, next(key for key, node in graph.items() if "Save" in node["class_type"]))
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        return {}


def png(image: torch.Tensor) -> bytes:
    """The file of an IMAGE (1, H, W, 3)."""
    pixels = (image[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
