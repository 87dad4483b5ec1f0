"""One worker of `run.py bulk`: a process that holds the models, and runs the pack's own nodes on one picture at a time.

Ray sends this module's classes to its workers by value, so nothing here but the standard library is imported before a
worker has made ComfyUI ready.
"""

import importlib.util
import os
import sys
import time
from pathlib import Path


class Worker:
    """What Ray calls with a batch: {"source": names, "target": names}; it gives a column more for each figure."""

    def __init__(self, settings: dict):
        self.settings = settings
        start_comfyui(settings)
        import nodes
        import torch

        self.torch = torch
        with torch.inference_mode():
            model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint(
                listed("checkpoints", settings["checkpoint"])
            )
            self.vae = nodes.VAELoader().load_vae(listed("vae", settings["vae"]))[0] if settings["vae"] else vae
            if settings["command"] == "regenerate":
                self.model, self.clip = model, clip
                name = listed("controlnet", settings["controlnet"])
                self.control_net = nodes.ControlNetLoader().load_controlnet(name)[0]
        self.work = {"compress": self.compress, "decompress": self.decompress, "regenerate": self.regenerate}

    def __call__(self, batch: dict) -> dict:
        rows = [self.one(*map(str, pair)) for pair in zip(batch["source"], batch["target"], strict=True)]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def one(self, source: str, target: str) -> dict:
        """Do one picture. Whatever is wrong with it is told in its row, and costs no other one."""
        from sdc_pack import codec

        started = time.monotonic()
        row = {"source": source, "target": target, "bytes": 0, "bpp": 0.0, "seconds": 0.0, "error": ""}
        try:
            with self.torch.inference_mode():
                data, size, bpp = self.work[self.settings["command"]](source)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                codec.write_whole(target, data)
            except FileExistsError:
                # Ray gives the work of a worker that has ended to another one: this was done already.
                if not os.path.isfile(target):
                    raise
            row.update(bytes=size, bpp=bpp)
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"
        return row | {"seconds": round(time.monotonic() - started, 3)}

    def compress(self, source: str):
        import nodes
        import numpy as np
        from PIL import Image, ImageOps
        from sdc_pack.nodes.latent_quantize import SDCLatentQuantize

        with Image.open(source) as opened:
            pixels = np.array(ImageOps.exif_transpose(opened).convert("RGB"), np.float32) / 255
        image = self.torch.from_numpy(pixels)[None]
        latent = nodes.VAEEncode().encode(self.vae, image)[0]
        settings = {"preset": self.settings["preset"], "latent_format": self.settings["latent_format"]}
        if self.settings["bpp"] is not None:
            settings["bits_per_pixel"] = self.settings["bpp"]
        (picture,) = run_node(SDCLatentQuantize, latent=latent, image=image, **settings)[0]
        return picture.data, picture.size, picture.bits_per_pixel

    def decompress(self, source: str):
        from sdc_pack.nodes.decode import SDCDecode

        picture = load(source)
        (image,) = run_node(SDCDecode, sdc=[picture], vae=self.vae)
        return png(image), picture.size, picture.bits_per_pixel

    def regenerate(self, source: str):
        import nodes
        from sdc_pack.nodes.regenerate import SDCRegenerate

        picture = load(source)
        positive = nodes.CLIPTextEncode().encode(self.clip, picture.metadata.get("prompt", ""))[0]
        models = {"model": self.model, "positive": positive, "vae": self.vae, "control_net": self.control_net}
        image, *_ = run_node(SDCRegenerate, sdc=[picture], **models)
        return png(image), picture.size, picture.bits_per_pixel


def start_comfyui(settings: dict):
    """ComfyUI in this process, on the device that Ray gave it, with the model folders of run.py."""
    repository = Path(settings["repository"])
    # Ray puts the folder of its driver on the path, where `server` would hide ComfyUI's.
    own = {repository, repository / "dev"}
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in own]
    sys.path.insert(0, settings["comfyui"])
    sys.argv[1:] = []  # ComfyUI reads them
    from comfy.cli_args import args

    args.cpu = settings["cpu"]
    import folder_paths
    import torch

    if settings["cpu"]:
        torch.set_num_threads(1)  # there is a worker for each core
    for folder in settings["models"]:
        for kind in sorted(path for path in Path(folder).glob("*") if path.is_dir()):
            folder_paths.add_model_folder_path(kind.name, str(kind), is_default=True)
    # The pack under its own name, with no `nodes` of it on the path.
    spec = importlib.util.spec_from_file_location(
        "sdc_pack", repository / "__init__.py", submodule_search_locations=[str(repository)]
    )
    sys.modules["sdc_pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["sdc_pack"])


def listed(kind: str, file: str) -> str:
    """The name that ComfyUI's loaders list a file by; of a full path, its folder becomes one of theirs."""
    import folder_paths

    if os.path.isabs(file):
        folder_paths.add_model_folder_path(kind, os.path.dirname(file), is_default=True)
    return os.path.basename(file)


def run_node(node, **inputs) -> tuple:
    """Run a node of the pack; inputs that are not given have the defaults of its schema."""
    given = {
        each.id: each.default for each in node.define_schema().inputs if getattr(each, "default", None) is not None
    }
    return node.PREPARE_CLASS_CLONE({"hidden_inputs": {}}).execute(**{**given, **inputs}).result


def load(source: str):
    from sdc_pack import codec

    return codec.load_file(source)


def png(image) -> bytes:
    """The file of an IMAGE (1, H, W, 3)."""
    import io

    from PIL import Image

    pixels = (image[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
