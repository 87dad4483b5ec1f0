"""Save SDC. It outputs what it has read back from the disk, so what you look at is what was stored."""

from comfy.cli_args import args
from comfy_api.v0_0_2 import io, ui

from . import CATEGORY, plain_errors
from .files.saving import APART, TOGETHER, fill_in, pack_files, write_file
from .latents.arrays import to_latent
from .metadata.embedding import embed_metadata
from .metadata.loaded_file import find_loaded_file
from .metadata.outputs import load_sdc_outputs
from .metadata.prompt_graph import find_generation
from .previews.thumbnail import save_thumbnail
from .progress import cancelable, check_cancel, steps
from .sockets.sdc import SDC, preview_notes

# The Assets view lists media only, and "format" says what kind a file is. Of the kinds that it lists, audio is the one
# that it shows by name without trying to draw it.
FORMAT = "audio/x-sdc"
EMBEDDED = {
    "none": (),
    "workflow": ("workflow",),
    "prompt and settings": ("settings",),
    "everything": ("workflow", "settings"),
}


class SDCSave(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCSave",
            display_name="Save SDC",
            category=CATEGORY,
            description="Writes the compressed image to a .sdc file in the output folder. Files are never overwritten.",
            search_aliases=[
                "sdc",
                "export",
                "write file",
                "compress",
                "codec",
                "save latent",
                "save image",
                "small file",
                "jpeg",
                "avif",
            ],
            is_output_node=True,
            hidden=[io.Hidden.extra_pnginfo, io.Hidden.prompt, io.Hidden.unique_id],
            inputs=[
                SDC.Input("sdc", tooltip="The compressed image, from SD Latent Quantize or Load SDC."),
                io.String.Input(
                    "filename_prefix",
                    default="SDC/image",
                    tooltip="Start of the file name; a counter is added. A / makes a subfolder of the output folder. "
                    "%year%, %month%, %day%, %width%, %height%, %date:yyyy-MM-dd% and %Node.widget% are replaced.",
                ),
                io.Combo.Input(
                    "embed",
                    display_name="include",
                    options=list(EMBEDDED),
                    default="none",
                    tooltip=(
                        "What to include in the file. workflow: this graph, so that it can be opened again; often "
                        "larger than the image itself. prompt and settings: both prompts, seed, steps, sampler and "
                        "models of the sampler before this node, in about 200 bytes; Load SDC outputs them again. "
                        "everything: both. none: the smallest file; a workflow in a loaded file is removed. A prompt "
                        "is kept in all cases."
                    ),
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="A text to guide the regeneration, included in the file unless it is empty; Load SDC "
                    "outputs it again. About one byte per letter.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The original image, to compare the size with that of its PNG where the file that it was "
                    "loaded from is not known; it is not stored.",
                ),
                io.Boolean.Input(
                    "thumbnail",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Also writes a small JPEG with the same name, about 10 kB, for ComfyUI's Assets view and "
                    "queue and for file managers. The .sdc file does not need it.",
                ),
                io.Combo.Input(
                    "batch",
                    options=[APART, TOGETHER],
                    default=APART,
                    optional=True,
                    advanced=True,
                    tooltip=f"How to save a batch, such as the frames of a video. {APART}: a file for every image. "
                    f"{TOGETHER}: an image sequence, up to 255 images of the same size; a palette or prompt that they "
                    "share is stored once. Load SDC loads it as a batch.",
                ),
            ],
            outputs=[
                SDC.Output("saved", display_name="SDC", tooltip="The image as written, with what was included."),
                io.Latent.Output(
                    "decoded", display_name="LATENT", tooltip="The latent as read back from the file, for VAE Decode."
                ),
                # Of any type, since the combo inputs of nodes accept no text.
                io.AnyType.Output("file", tooltip="The name of the file, for Load SDC; the first one of a batch."),
            ],
        )

    @classmethod
    @cancelable()
    @plain_errors()
    def execute(cls, sdc, filename_prefix, embed, prompt="", image=None, thumbnail=False, batch=APART) -> io.NodeOutput:
        info = cls.hidden.extra_pnginfo
        workflow = info.get("workflow") if isinstance(info, dict) else None
        found = None
        if "settings" in EMBEDDED[embed]:
            outputs = {"SDCLoad": load_sdc_outputs}
            found = find_generation(cls.hidden.prompt, cls.hidden.unique_id, outputs)
        embedded = [
            embed_metadata(encoded, prompt, "workflow" in EMBEDDED[embed], workflow, args.disable_metadata, found)
            for encoded in sdc
        ]
        # Everything that can fail comes before the first file.
        files = pack_files([encoded for encoded, _ in embedded], batch)
        # An image file with several frames became several files, of which each is a part of it.
        loaded = find_loaded_file(cls.hidden.prompt, cls.hidden.unique_id) if len(files) == 1 else None
        compared = [file.compared(loaded, image, check_cancel) for file in files]
        written, results, images, lines = [], [], [], []
        to_write = list(zip(fill_in(filename_prefix, files), files, compared, strict=True))
        for prefix, file, comparison in steps(to_write):
            saved = write_file(prefix, file)
            written += saved.images
            results.append({**ui.SavedResult(saved.filename, saved.subfolder, io.FolderType.output), "format": FORMAT})
            lines.append(f"{saved.filename}: {file.line()} \u00b7 {comparison}")
            if thumbnail and (name := save_thumbnail(saved.path, file.data, saved.images[0])):
                images.append(ui.SavedResult(name, saved.subfolder, io.FolderType.output))
        lines += sorted({line for encoded in written for line in preview_notes(encoded)})
        lines += dict.fromkeys(note for _, notes in embedded for note in notes)
        # The first image that a job lists is the one that stands for it.
        shown = {"images": images} if images else {}
        first = results[0]
        name = "/".join(filter(None, (first["subfolder"], first["filename"]))) + " [output]"
        return io.NodeOutput(written, to_latent(written), name, ui={**shown, "files": results, "text": lines})
