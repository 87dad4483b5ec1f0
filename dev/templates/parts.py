"""What several templates have in common."""

from .sketch import CHECKPOINT, CONTROLNET, IMAGE, Node, Sketch

SCALED = (
    "A photograph of any size may come in: **Scale Image to Total Pixels** takes it to {size} megapixels first, what "
    "{model} was made for."
)
SD15 = SCALED.format(size="0.26", model="Stable Diffusion 1.x")


def image(sketch: Sketch, megapixels: float = 0.26) -> tuple[Node, Node]:
    """(Load Image, the image at a size that models can do)."""
    loaded = sketch.node("LoadImage", "Image", image=IMAGE)
    scaled = sketch.node(
        "ImageScaleToTotalPixels", f"Scale to {megapixels:g} megapixels", image=loaded, upscale_method="lanczos",
        megapixels=megapixels, resolution_steps=8,
    )  # fmt: skip
    return loaded, scaled


def real_models(sketch: Sketch) -> tuple[Node, Node]:
    checkpoint = sketch.node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT["name"], download=CHECKPOINT)
    edges = sketch.node("ControlNetLoader", control_net_name=CONTROLNET["name"], download=CONTROLNET)
    return checkpoint, edges


def real_models_note(sketch: Sketch) -> Node:
    return sketch.note(
        "Models",
        f"""
* checkpoints/{CHECKPOINT["name"]}: any SD 1.x checkpoint works.
* controlnet/{CONTROLNET["name"]}

The loaders name where both can be downloaded. None at hand? **sdc_demo_tiny** runs without.
""",
    )


def prompt(sketch: Sketch, models: Node, title: str = "What it shows (may be empty)", text="") -> Node:
    return sketch.node("CLIPTextEncode", title, clip=(models, "CLIP"), text=text)


def compressed(sketch: Sketch, image: Node, models: Node, preset: str, prefix: str, **settings) -> tuple[Node, ...]:
    """(VAE Encode, SD Latent Quantize, Save SDC)."""
    vae = (models, "VAE")
    encoded = sketch.node("VAEEncode", pixels=image, vae=vae)
    quantized = sketch.node("SDCLatentQuantize", latent=encoded, image=image, vae=vae, preset=preset, **settings)
    saved = sketch.node("SDCSave", sdc=(quantized, "SDC"), image=image, filename_prefix=prefix)
    return encoded, quantized, saved


def shown(sketch: Sketch, title: str, images, **size) -> Node:
    """A preview. ComfyUI's Image Compare draws nothing on the classic canvas, so images stand below each other."""
    return sketch.node("PreviewImage", title, images=images, **size)


def kept(sketch: Sketch, title: str, images, prefix: str, **size) -> Node:
    return sketch.node("SaveImage", title, images=images, filename_prefix=prefix, **size)


def before_and_after(sketch: Sketch, scaled: Node, back: Node, prefix: str) -> tuple[Node, Node, Node]:
    """Previews of the original, and larger of what the file holds and of what SDC Regenerate makes of it."""
    original = shown(sketch, "Original", scaled, width=280, height=245)
    before = shown(sketch, "What the file holds", (back, "before"), width=440, height=330)
    return original, before, kept(sketch, "Regenerated", (back, "IMAGE"), prefix, width=440, height=360)
