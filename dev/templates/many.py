"""Templates for many images: what a sampler makes, with the words it was made by, and whole folders."""

from .parts import SD15, kept, prompt, shown
from .simple import TINY
from .sketch import CHECKPOINT, SAMPLE_FOLDER, Sketch


def generated_art() -> Sketch:
    s = Sketch("sdc_generated_art")
    note = s.note(
        "What this does",
        f"""
## Generated images, with the words they were made by

**1 · Generate, compress.** SD Latent Quantize takes the latent straight from **KSampler**: without VAE Encode nothing
is lost before the file. Save SDC's **embed** *prompt and settings* stores both prompts, seed, sampler and model, in
about 200 bytes.

**2 · Open, paint again.** Load SDC gives all that back. Here the prompts, seed, cfg, sampler and scheduler of the file
go into another KSampler, which paints the stored image again: **denoise** 0.3 mends, more invents.

Run it once, then choose `SDC/art_00001_.sdc` in **Load SDC** (R brings new files into its list) and run it again. Until
then a sample stands there, which holds only a prompt.

* **control_after_generate** *randomize* makes another image with every run, each in a file of its own.
* With an Empty Latent Image in place of Load SDC's LATENT, and denoise 1, the same model makes the image anew by what
  the file says.
* To clean up without inventing use **sdc_decompress**.

`checkpoints/{CHECKPOINT["name"]}`: any SD 1.x checkpoint works, and one of SDXL, SD 3 or Flux at its own size.
""",
        width=340,
    )
    models = s.node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT["name"], download=CHECKPOINT)
    model, vae = (models, "MODEL"), (models, "VAE")
    positive = prompt(s, models, "What to paint", "a lighthouse on a cliff at dusk, oil painting")
    negative = prompt(s, models, "What to leave out", "blurry, text, watermark")
    empty = s.node("EmptyLatentImage")
    sampler = s.node(
        "KSampler", model=model, positive=positive, negative=negative, latent_image=empty, seed=7,
        control_after_generate="fixed", steps=20, cfg=7.0, sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
    )  # fmt: skip
    quantized = s.node("SDCLatentQuantize", latent=sampler, vae=vae, preset="best")
    saved = s.node("SDCSave", sdc=(quantized, "SDC"), filename_prefix="SDC/art", embed="prompt and settings")
    generated = s.node("VAEDecode", "VAE Decode (generated)", samples=sampler, vae=vae)
    loaded = s.node("SDCLoad", file="sample: espresso.sdc", width=300)
    clip = (models, "CLIP")
    words = s.node("CLIPTextEncode", "Its prompt", clip=clip, text=(loaded, "prompt"))
    without = s.node("CLIPTextEncode", "Its negative prompt", clip=clip, text=(loaded, "negative"))
    held = s.node("SDCDecode", sdc=(loaded, "SDC"), vae=vae)
    stored = {name: (loaded, name) for name in ("seed", "cfg", "sampler_name", "scheduler")}
    again = s.node(
        "KSampler", "KSampler (by what the file says)", model=model, positive=words, negative=without,
        latent_image=(loaded, "LATENT"), control_after_generate="fixed", steps=20, denoise=0.3, **stored,
    )  # fmt: skip
    painted = s.node("VAEDecode", "VAE Decode (painted again)", samples=again, vae=vae)
    first = shown(s, "1 · Generated", generated, width=280)
    held_shown = shown(s, "2 · What the file holds", held, width=300, height=330)
    last = kept(s, "2 · Painted again", painted, "SDC/art_again", width=300, height=360)
    s.band(
        [note, models, positive, negative], [empty, sampler, generated, first], [quantized, saved],
        [loaded, words, without], [held, again, painted], [held_shown, last],
    )  # fmt: skip
    s.group("1 · Generate, compress", empty, sampler, generated, first, quantized, saved)
    s.group("2 · Open, paint again", loaded, words, without, held, again, painted)
    return s


def compress_a_folder() -> Sketch:
    s = Sketch("sdc_compress_a_folder")
    note = s.note(
        "What this does",
        f"""
## Compress a whole folder

Put your images into a folder of ComfyUI's `input` folder, press R, and choose it in the first node. Each becomes a
`.sdc` file of its own in `output/SDC/folder`, one after the other; sizes may be mixed. Files are numbered: the
names of the images are not kept.

{SD15}

All images are held in memory at once: with hundreds make several folders. **sdc_folder_to_folder** brings a folder of
`.sdc` files back.

{TINY} Use the VAE of your own SD 1.x checkpoint for sharper images.
""",
    )
    models = s.node("SDCLoadTinyModels")
    files = s.node("LoadImageDataSetFromFolder", "Images of a folder", folder=SAMPLE_FOLDER)
    scaled = s.node(
        "ImageScaleToTotalPixels", "Scale to 0.26 megapixels", image=files, upscale_method="lanczos", megapixels=0.26,
        resolution_steps=8,
    )  # fmt: skip
    vae = (models, "VAE")
    encoded = s.node("VAEEncode", pixels=scaled, vae=vae)
    quantized = s.node("SDCLatentQuantize", latent=encoded, image=scaled, vae=vae, preset="best")
    saved = s.node("SDCSave", sdc=(quantized, "SDC"), image=scaled, filename_prefix="SDC/folder/image")
    sheet = s.node("SDCContactSheet", sdc=(saved, "SDC"), width=400)
    overview = shown(s, "What the files hold", sheet, width=400, height=400)
    s.band([note, models], [files, scaled, encoded], [quantized], [saved], [sheet, overview])
    return s


SKETCHES = [generated_art, compress_a_folder]
