"""Templates for every day: compress, open again, and the two in one go."""

from .parts import SD15, before_and_after, compressed, image, kept, prompt, shown
from .sketch import Sketch

TINY = (
    "The models are the small ones of the pack, loaded by **Load SDC Tiny Models**; nothing is downloaded or installed."
)
BIG_ONES = (
    "For a model that knows what it paints, put **Load Checkpoint** (any SD 1.x) and **Load ControlNet Model** "
    "(its Canny) in its place."
)


def demo() -> Sketch:
    s = Sketch("sdc_demo_tiny")
    note = s.note(
        "Start here",
        f"""
## An image in about 3 kB, and back

Press **Run**. {TINY}

**1 · Compress.** The preset *best* packs the image into about 3 kB, and Save SDC writes the file to *output/SDC*.

**2 · Regenerate.** SDC Regenerate opens what was written, goes as far towards noise as the compression has disturbed
it (**auto_strength**: it cleans up and changes least), and paints that part again, held by its edges. After *best*
little is left to clean; with preset *paper* or *clean* it mends more.

{SD15}

The small models were taught at **canny_strength** 1.0, and prompts do nothing with them. {BIG_ONES} Then 0.3 is a good
canny_strength.

The cat is Chelsea, by Stefan van der Walt (CC0); opening this workflow has put it into the input folder.
""",
    )
    models = s.node("SDCLoadTinyModels")
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(s, scaled, models, "best", "SDC/demo")
    words = prompt(s, models, "A prompt (does nothing here)")
    back = s.node(
        "SDCRegenerate", sdc=(saved, "SDC"), model=(models, "MODEL"), positive=words, vae=(models, "VAE"),
        control_net=(models, "CONTROL_NET"), canny_strength=1.0,
    )  # fmt: skip
    original, before, after = before_and_after(s, scaled, back, "SDC/demo_regenerated")
    s.band([note], [models, loaded, scaled], [encoded, quantized, saved], [words, back, original], [before, after])
    s.group("1 · Compress", encoded, quantized, saved)
    s.group("2 · Regenerate", words, back)
    s.group("Look", before, after)
    return s


def compress() -> Sketch:
    s = Sketch("sdc_compress")
    note = s.note(
        "What this does",
        f"""
## Compress an image

Writes a .sdc file of about 3 kB for 512x512 to *output/SDC*, and shows what the file holds: no model repaints it.

**preset** *best* is the learned codec, far nearer to the image than the palettes; **bits_per_pixel** sets how big the
file gets.

{SD15} Larger images work too, up to your memory; files grow with their area.

* Type what the image shows into Save SDC's **prompt**, to have it at hand when the image is regenerated.
* Open the file again with **sdc_decompress**.

{TINY} Use the VAE of your own SD 1.x checkpoint for a sharper image: what opens the file should be what wrote it.
""",
    )
    models = s.node("SDCLoadTinyModels")
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(s, scaled, models, "best", "SDC/image")
    decoded = s.node("SDCDecode", "Decode SDC (from the file)", sdc=(saved, "SDC"), vae=(models, "VAE"))
    before = shown(s, "Original", scaled, width=440, height=380)
    after = shown(s, "What the file holds", decoded, width=440, height=380)
    s.band([note], [models, loaded, scaled], [encoded, quantized, saved], [before, decoded, after])
    return s


def decompress() -> Sketch:
    s = Sketch("sdc_decompress")
    note = s.note(
        "What this does",
        f"""
## Open a .sdc file

Drop a .sdc file on **Load SDC**, or choose one: files of the input folder and those that Save SDC has written. A
sample comes with the pack.

**SDC Regenerate** decodes it and cleans up what the compression has disturbed (**auto_strength**). A prompt stored in
the file steers the repainting.

{TINY} {BIG_ONES} Then 0.3 is a good canny_strength.
""",
    )
    models = s.node("SDCLoadTinyModels")
    loaded = s.node("SDCLoad", file="sample: espresso.sdc", width=300)
    words = s.node("CLIPTextEncode", "What the image shows", clip=(models, "CLIP"), text=(loaded, "prompt"))
    back = s.node(
        "SDCRegenerate", sdc=(loaded, "SDC"), model=(models, "MODEL"), positive=words, vae=(models, "VAE"),
        control_net=(models, "CONTROL_NET"), canny_strength=1.0,
    )  # fmt: skip
    before = shown(s, "What the file holds", (back, "before"), width=340, height=255)
    after = kept(s, "Regenerated", (back, "IMAGE"), "SDC/regenerated", width=340, height=285)
    s.band([note], [models, loaded], [words, back], [before, after])
    return s


def folder() -> Sketch:
    s = Sketch("sdc_folder_to_folder")
    note = s.note(
        "What this does",
        f"""
## Open a whole folder

**Load SDC Folder** opens every .sdc file of *output/SDC*, where Save SDC writes, one after the other. Each is cleaned
up and saved under its own name in *output/SDC/regenerated*. Run **sdc_demo_tiny** first to have some.

**limit** says how many at once. The contact sheet shows what is there without any model.

{TINY} {BIG_ONES}
""",
    )
    models = s.node("SDCLoadTinyModels")
    files = s.node("SDCLoadFolder", limit=16, width=300)
    words = s.node("CLIPTextEncode", "What each image shows", clip=(models, "CLIP"), text=(files, "prompt"))
    back = s.node(
        "SDCRegenerate", sdc=(files, "SDC"), model=(models, "MODEL"), positive=words, vae=(models, "VAE"),
        control_net=(models, "CONTROL_NET"), canny_strength=1.0,
    )  # fmt: skip
    out = kept(s, "Regenerated", (back, "IMAGE"), "SDC/regenerated/image")
    sheet = s.node("SDCContactSheet", sdc=(files, "SDC"), name=(files, "name"), width=400)
    overview = shown(s, "What is in the folder", sheet, width=400, height=400)
    s.band([note, models], [files], [words, back], [sheet, overview, out])
    return s


def keep_a_part() -> Sketch:
    s = Sketch("sdc_keep_a_part_finer")
    note = s.note(
        "What this does",
        f"""
## Keep a face, or lettering, finer

Right-click **Image**, *Open in MaskEditor*, and paint over what matters. The preset *best* keeps it finer, and the
rest of the image pays for it: the file gets no bigger.

The image in the middle has the same number of bytes without the mask.

{SD15}

{TINY}
""",
    )
    models = s.node("SDCLoadTinyModels")
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(
        s, scaled, models, "best", "SDC/finer", mask=(loaded, "MASK"), bits_per_pixel=0.05
    )
    plain = s.node(
        "SDCLatentQuantize", "The same size without the mask", latent=encoded, image=scaled, vae=(models, "VAE"),
        preset="best", bits_per_pixel=0.05,
    )  # fmt: skip
    masked = s.node("SDCDecode", "Decode SDC (with the mask)", sdc=(saved, "SDC"), vae=(models, "VAE"))
    without = s.node("SDCDecode", "Decode SDC (without)", sdc=(plain, "SDC"), vae=(models, "VAE"))
    original = shown(s, "Original", scaled, width=280, height=230)
    images = [
        shown(s, "Without the mask", without, width=380, height=355),
        shown(s, "With the mask", masked, width=380, height=355),
    ]
    s.band([note, models], [loaded, scaled, encoded, original], [quantized, saved], [plain, without, masked], images)
    return s


SKETCHES = [demo, compress, decompress, folder, keep_a_part]
