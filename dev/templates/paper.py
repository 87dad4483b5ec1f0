"""Templates of the paper's pipeline, taken apart, and of what can be done with its parts."""

from .parts import SD15, compressed, image, kept, prompt, real_models, real_models_note, shown
from .sketch import Node, Sketch

STRENGTHS, CANNY = (0.15, 0.3, 0.6), (0.3, 1.0)
STEPS = 20


def two_nodes(s: Sketch, models: Node, edges: Node, words: Node, latent, decoded: Node) -> tuple[Node, Node]:
    """(DDIM Invert, Regenerate with Canny), as in the paper."""
    model = (models, "MODEL")
    up = s.node("SDCDDIMInvert", model=model, positive=words, latent=latent, steps=50, cfg=1.0, strength=1.0)
    down = s.node(
        "SDCRegenerateCanny", model=model, positive=words, control_net=edges, image=decoded, latent=(up, "LATENT"),
        noise=(up, "NOISE"), sigmas=(up, "SIGMAS"), canny_strength=0.3,
    )  # fmt: skip
    return up, down


def full_pipeline() -> Sketch:
    s = Sketch("sdc_full_pipeline")
    note = s.note(
        "What this does",
        f"""
## The paper, step by step

**1 · Compress, decode.** The latent is reduced to 64 colors and dithered (preset *paper*), about 3 kB for 512x512 in
*output/SDC*. It is read back *from the written file*: recognizable, but grainy.

**2 · Regenerate.** DDIM Invert finds the noise from which the model would paint this image; Regenerate with Canny
paints it again, lightly held by its edges.

The settings are the paper's: all the way to noise and back. **sdc_demo_tiny** and **sdc_compress** have what measured
best.

{SD15}
""",
    )
    knobs = s.note(
        "Where to turn the knobs",
        """
* **strength** below 1.0 in DDIM Invert keeps more of the decoded image.
* **canny_strength**: the paper says only that it is small; 0.3 is our guess.
* The prompt steers what is painted. The paper names none, so it starts empty.
* 20 **steps** are quicker than 50, and drift further.
* Keep **cfg** alike in both nodes.
""",
    )
    models, edges = real_models(s)
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(s, scaled, models, "paper", "SDC/image")
    decoded = s.node("VAEDecode", "VAE Decode (from the file)", samples=(saved, "LATENT"), vae=(models, "VAE"))
    words = prompt(s, models)
    up, down = two_nodes(s, models, edges, words, (saved, "LATENT"), decoded)
    again = s.node("VAEDecode", "VAE Decode (regenerated)", samples=(down, "LATENT"), vae=(models, "VAE"))
    first = shown(s, "1 · Original", scaled, height=245, width=280)
    decoded_shown = shown(s, "2 · Decoded from the .sdc file", decoded, height=245, width=280)
    last = [
        shown(s, "3 · Edges that hold it in place", (down, "edges"), width=290, height=260),
        kept(s, "4 · Regenerated", again, "SDC/image_regenerated", width=290, height=290),
    ]
    s.band(
        [note, knobs, real_models_note(s)], [models, edges, loaded, scaled], [encoded, quantized, saved],
        [decoded, words, up, first], [down, again, decoded_shown], last,
    )  # fmt: skip
    s.group("1 · Compress", encoded, quantized, saved)
    return s


def table1() -> Sketch:
    s = Sketch("sdc_table1")
    note = s.note(
        "What this does",
        f"""
## The paper's Table 1, for your image

*Without inversion* is what the .sdc file holds, about 3 kB for 512x512. *With inversion* is the same file, repainted
by the model with the paper's settings.

Both stand beside the original, and beside JPEG, WebP and AVIF of the same number of bytes, with a zoom where they
differ most, maps of the differences, a plot and the table. A CSV file with all figures lands in *output/SDC*.

LPIPS, the figure that comes closest to the eye, is optional: the last line under the table says what it needs.

{SD15}
""",
    )
    models, edges = real_models(s)
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(s, scaled, models, "paper", "SDC/image")
    decoded = s.node("VAEDecode", "VAE Decode (from the file)", samples=(saved, "LATENT"), vae=(models, "VAE"))
    words = prompt(s, models)
    up, down = two_nodes(s, models, edges, words, (saved, "LATENT"), decoded)
    again = s.node("VAEDecode", "VAE Decode (regenerated)", samples=(down, "LATENT"), vae=(models, "VAE"))
    table = s.node(
        "SDCCompare", original=scaled, image_1=decoded, sdc_1=(saved, "SDC"), image_2=again, sdc_2=(saved, "SDC"),
        name_1="without inversion", name_2="with inversion", width=300, collapsed=True,
    )  # fmt: skip
    sheet = s.node("SaveImage", "Table 1", images=(table, 0), filename_prefix="SDC/table1", width=330, height=440)
    plot = s.node("PreviewImage", "Quality over bytes", images=(table, 1), width=330, height=360)
    figures = s.node("PreviewAny", "Figures", source=(table, 2), width=300, height=230)
    s.band(
        [note, real_models_note(s)], [models, edges, loaded, scaled], [encoded, quantized, saved],
        [decoded, words, up], [down, again, table, figures], [sheet, plot],
    )  # fmt: skip
    return s


def stock_nodes() -> Sketch:
    s = Sketch("sdc_regenerate_stock_nodes")
    note = s.note(
        "What this does",
        f"""
## The same regeneration from stock nodes

**Regenerate with Canny** is Apply ControlNet, Basic Guider and SamplerCustomAdvanced with *euler* in one node. Both
images at the end are the same.

Start from here to build your own: another sampler, several ControlNets, a LoRA, another guider. Keep the **NOISE** and
**SIGMAS** of DDIM Invert.

ComfyUI's own *Detect Edges (Canny)* is another filter on another scale, so the edges come from our node.

**auto_strength** goes as far towards noise as the compression has disturbed the image, which changes least.

{SD15}
""",
    )
    models, edges = real_models(s)
    loaded, scaled = image(s)
    vae = (models, "VAE")
    encoded = s.node("VAEEncode", pixels=scaled, vae=vae)
    quantized = s.node("SDCLatentQuantize", latent=encoded, image=scaled, vae=vae, preset="clean")
    latent = (quantized, "LATENT")
    decoded = s.node("VAEDecode", "VAE Decode (compressed)", samples=latent, vae=vae)
    words = prompt(s, models)
    model = (models, "MODEL")
    up = s.node(
        "SDCDDIMInvert",
        model=model,
        positive=words,
        latent=latent,
        sdc=(quantized, "SDC"),
        auto_strength=True,
        steps=50,
    )
    down = s.node(
        "SDCRegenerateCanny", model=model, positive=words, control_net=edges, image=decoded, latent=(up, "LATENT"),
        noise=(up, "NOISE"), sigmas=(up, "SIGMAS"), canny_strength=0.3,
    )  # fmt: skip
    held = s.node(
        "ControlNetApplyAdvanced", positive=words, negative=words, control_net=edges, image=(down, "edges"),
        strength=0.3,
    )  # fmt: skip
    guider = s.node("BasicGuider", model=model, conditioning=held)
    sampler = s.node("KSamplerSelect", sampler_name="euler")
    walk = s.node(
        "SamplerCustomAdvanced", noise=(up, "NOISE"), guider=guider, sampler=sampler, sigmas=(up, "SIGMAS"),
        latent_image=(up, "LATENT"),
    )  # fmt: skip
    again = s.node("VAEDecode", "VAE Decode (regenerated)", samples=(down, "LATENT"), vae=vae)
    stock = s.node("VAEDecode", "VAE Decode (stock nodes)", samples=(walk, 0), vae=vae)
    ours = shown(s, "Regenerate with Canny", again)
    theirs = kept(s, "Stock nodes", stock, "SDC/regenerated")
    s.band(
        [note, real_models_note(s)], [models, edges, loaded, scaled], [encoded, quantized, decoded, words],
        [up, down], [held, guider, sampler, walk, stock], [again, ours, theirs],
    )  # fmt: skip
    s.group("Stock nodes", held, guider, sampler, walk, stock)
    return s


def experiment() -> Sketch:
    s = Sketch("sdc_experiment")
    calls = sum(2 * round(STEPS * strength) for strength in STRENGTHS) * len(CANNY)
    note = s.note(
        "What this does",
        f"""
## One file, six ways

Each column goes further towards noise (**strength**), the upper row holds the edges lightly, the lower one firmly
(**canny_strength**). Pick what you like best and carry its two values to another workflow.

**Cost:** about {calls} model calls, and two dozen of VAE and edges: a minute on a graphics card, long without one. Mute
(Ctrl-M) what you do not need.

Click the dot of a folded **SDC Regenerate** to see its settings. **auto_strength** is off in them, so that strength
counts.

{SD15}
""",
    )
    models, edges = real_models(s)
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(s, scaled, models, "clean", "SDC/experiment")
    words = prompt(s, models)
    columns = []
    for strength in STRENGTHS:
        column = []
        for canny in CANNY:
            title = f"strength {strength:g} · canny {canny:g}"
            back = s.node(
                "SDCRegenerate", f"{strength:g} · {canny:g}", sdc=(saved, "SDC"), model=(models, "MODEL"),
                positive=words, vae=(models, "VAE"), control_net=edges, auto_strength=False, strength=strength,
                steps=STEPS, canny_strength=canny, width=270, collapsed=True,
            )  # fmt: skip
            column += [back, shown(s, title, (back, "IMAGE"), width=290, height=270)]
        columns.append(column)
    s.band([note, real_models_note(s)], [models, edges, words, loaded, scaled], [encoded, quantized, saved], *columns)
    return s


def change_prompt() -> Sketch:
    s = Sketch("sdc_change_the_prompt")
    note = s.note(
        "What this does",
        f"""
## Change a compressed image by words

Write what the image shows into **1 · As it is**, and what it should show into **2 · As it should be**. DDIM Invert
goes up with the first, Regenerate with Canny comes down with the second: what the words agree about stays.

With method **exact pair**, the same words in both, and canny_strength 0, give the compressed image back to the
last digit, so whatever differs comes from your words.

**strength** 0.6 leaves the composition; nearer to 1.0 more may change. **canny_strength** holds shapes.

{SD15}
""",
    )
    models, edges = real_models(s)
    loaded, scaled = image(s)
    encoded, quantized, saved = compressed(s, scaled, models, "best", "SDC/edit")
    decoded = s.node("VAEDecode", "VAE Decode (from the file)", samples=(saved, "LATENT"), vae=(models, "VAE"))
    before = prompt(s, models, "1 · As it is", "a photograph of a tabby cat")
    after = prompt(s, models, "2 · As it should be", "a photograph of a fox")
    model = (models, "MODEL")
    up = s.node(
        "SDCDDIMInvert", model=model, positive=before, latent=(saved, "LATENT"), steps=50, strength=0.6,
        method="exact pair",
    )  # fmt: skip
    down = s.node(
        "SDCRegenerateCanny", model=model, positive=after, control_net=edges, image=decoded, latent=(up, "LATENT"),
        noise=(up, "NOISE"), sigmas=(up, "SIGMAS"), canny_strength=0.3,
    )  # fmt: skip
    again = s.node("VAEDecode", "VAE Decode (changed)", samples=(down, "LATENT"), vae=(models, "VAE"))
    look = shown(s, "What the file holds", decoded)
    out = kept(s, "Changed", again, "SDC/changed")
    s.band(
        [note, real_models_note(s)], [models, edges, loaded, scaled], [encoded, quantized, saved],
        [decoded, before, after, up], [down, again], [look, out],
    )  # fmt: skip
    return s


SKETCHES = [full_pipeline, change_prompt, experiment, table1, stock_nodes]
