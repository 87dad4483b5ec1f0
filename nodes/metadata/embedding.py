"""What Save SDC puts beside the image: a prompt, the workflow, or nothing. An image is never lost for their sake."""

from ... import codec
from .generation import KEYS

WARNING = "\u26a0"


def embed_metadata(
    image: codec.EncodedImage,
    prompt: str,
    wants_workflow: bool,
    workflow: dict | None,
    disabled: bool,
    generation: dict | None = None,
) -> tuple[codec.EncodedImage, list[str]]:
    """The image with what can be embedded, and notes about what could not be.

    A prompt that the image has is kept unless there is another one. A workflow that it has came from the graph of
    somebody else or of another day: it is dropped.

    Parameters
    ----------
    workflow : dict or None
        The graph of this run, None where it came without one.
    disabled : bool
        ComfyUI was told to write no metadata: nothing is embedded, nor kept.
    generation : dict or None
        How the image was made, as `generation_of` gives it, where that is wanted; in the place of what the
        image says of it. An empty one where nothing was found: then what the image says is kept.
    """
    if disabled:
        asked = wants_workflow or generation is not None or prompt.strip() or image.metadata
        note = f"{WARNING} Nothing was embedded: ComfyUI was started with --disable-metadata."
        return codec.with_metadata(image, None), [note] if asked else []
    metadata = {key: value for key, value in image.metadata.items() if key != "workflow"}
    notes: list[str] = []
    if generation:
        others = {key: value for key, value in metadata.items() if key not in KEYS}
        metadata, notes = with_parts(others, "prompt with settings", generation, notes)
    elif generation is not None:
        notes.append(f"{WARNING} No prompt and settings were found: no sampler comes before this node.")
    if prompt.strip():
        metadata, notes = with_parts(metadata, "prompt", {"prompt": prompt}, notes)
    if wants_workflow and workflow is None:
        notes.append(f"{WARNING} No workflow was embedded: this run came without one.")
    elif wants_workflow:
        metadata, notes = with_parts(metadata, "workflow", {"workflow": workflow}, notes)
    if metadata == image.metadata:
        return image, notes
    return codec.with_metadata(image, metadata), notes


def with_parts(metadata: dict, name: str, parts: dict, notes: list[str]) -> tuple[dict, list[str]]:
    """Metadata with more in them; without it, and with a note, where that cannot be stored."""
    extended = metadata | parts
    try:
        codec.check_metadata(extended)
    except codec.SdcArgumentError as error:
        return metadata, [*notes, f"{WARNING} No {name} was embedded: {error}."]
    return extended, notes
