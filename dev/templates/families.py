"""Templates of model families besides SD 1.x: compress and regenerate, at the size that they were made for."""

from .parts import SCALED, before_and_after, compressed, image, prompt
from .sketch import Sketch

SDXL = {
    "name": "sd_xl_base_1.0.safetensors",
    "url": "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
    "directory": "checkpoints",
}
SDXL_EDGES = {
    "name": "diffusers_xl_canny_mid.safetensors",
    "url": "https://huggingface.co/lllyasviel/sd_control_collection/resolve/main/diffusers_xl_canny_mid.safetensors",
    "directory": "controlnet",
}
SD3 = {
    "name": "sd3.5_large_fp8_scaled.safetensors",
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-3.5-fp8/resolve/main/sd3.5_large_fp8_scaled.safetensors",
    "directory": "checkpoints",
}
SD3_EDGES = {
    "name": "sd3.5_large_controlnet_canny.safetensors",
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-3.5-controlnets_ComfyUI_repackaged/resolve/main/split_files/controlnet/sd3.5_large_controlnet_canny.safetensors",
    "directory": "controlnet",
}
FLUX = {
    "name": "flux1-dev-fp8.safetensors",
    "url": "https://huggingface.co/Comfy-Org/flux1-dev/resolve/main/flux1-dev-fp8.safetensors",
    "directory": "checkpoints",
}
MEASURED = (
    "**Not measured with a real checkpoint.** The preset *best* was trained and measured with {teacher}, the tiny "
    "autoencoder of this family. The workflow was run with that and a small random network, without a ControlNet."
)


def sdxl() -> Sketch:
    return both_ways(
        "sdc_sdxl",
        f"""
## Compress and regenerate with SDXL

The same pipeline, at SDXL's size. {SCALED.format(size="1.0", model="SDXL")}

The file must say which family of VAE brings the image back: SD Latent Quantize asks the one that is wired to
**vae** (latent_format *auto*), so that an SDXL image never becomes one of SD 1.x.

The preset *best* takes about 12 kB for 1024x1024. **auto_strength** repaints just as much as the compression has
disturbed.

{MEASURED.format(teacher="TAESDXL")}

* `checkpoints/{SDXL["name"]}`: any SDXL checkpoint works.
* `controlnet/{SDXL_EDGES["name"]}`: or any Canny ControlNet of SDXL.
""",
        "SDC/sdxl",
        SDXL,
        SDXL_EDGES,
    )


def sd3() -> Sketch:
    return both_ways(
        "sdc_sd3",
        f"""
## Compress and regenerate with SD 3.5

{SCALED.format(size="1.0", model="SD 3.5")} SD 3 and Flux both have 16 channels and differ otherwise: SD Latent Quantize
asks the VAE which it is (latent_format *auto*).

The preset *best* takes about 12 kB for 1024x1024.

{MEASURED.format(teacher="TAESD3")}

* `checkpoints/{SD3["name"]}`: any checkpoint of SD 3 or 3.5 works.
* `controlnet/{SD3_EDGES["name"]}`: for SD 3.5 Large. With another model bypass its loader (Ctrl-B): SDC Regenerate
  works without.
""",
        "SDC/sd3",
        SD3,
        SD3_EDGES,
    )


def flux() -> Sketch:
    return both_ways(
        "sdc_flux",
        f"""
## Compress and regenerate with Flux

{SCALED.format(size="1.0", model="FLUX.1")} SD 3 and Flux both have 16 channels and differ otherwise: SD Latent Quantize
asks the VAE which it is (latent_format *auto*).

The preset *best* takes about 12 kB for 1024x1024. **auto_strength** repaints just as much as the compression has
disturbed; no ControlNet is wired, and one for Flux may be.

{MEASURED.format(teacher="TAEF1")}

* `checkpoints/{FLUX["name"]}`: FLUX.1 dev, of a non-commercial license. Flux.2 has another latent, which `.sdc`
  files cannot hold yet.
""",
        "SDC/flux",
        FLUX,
    )


def both_ways(name: str, text: str, prefix: str, checkpoint: dict, edges: dict | None = None) -> Sketch:
    s = Sketch(name)
    note = s.note("What this does", text)
    models = s.node("CheckpointLoaderSimple", ckpt_name=checkpoint["name"], download=checkpoint)
    held = [s.node("ControlNetLoader", control_net_name=edges["name"], download=edges)] if edges else []
    loaded, scaled = image(s, 1.0)
    encoded, quantized, saved = compressed(s, scaled, models, "best", prefix)
    words = prompt(s, models)
    back = s.node(
        "SDCRegenerate", sdc=(saved, "SDC"), model=(models, "MODEL"), positive=words, vae=(models, "VAE"),
        **({"control_net": held[0]} if held else {}),
    )  # fmt: skip
    original, before, after = before_and_after(s, scaled, back, f"{prefix}_regenerated")
    s.band(
        [note, models, *held], [loaded, scaled, encoded], [quantized, saved], [words, back, original], [before, after]
    )
    return s


SKETCHES = [sdxl, sd3, flux]
