"""What Save SDC includes with the image. Whatever cannot be included, the image is saved."""

from ... import codec
from .generation import KEYS
from .prompt_graph import Found

WARNING = "\u26a0"


def embed_metadata(
    image: codec.EncodedImage,
    prompt: str,
    wants_workflow: bool,
    workflow: dict | None,
    disabled: bool,
    generation: Found | None = None,
) -> tuple[codec.EncodedImage, list[str]]:
    """The image with what can be included, and notes about what cannot.

    A prompt that the image already has is kept unless there is a new one. Its workflow is removed, since it belongs to
    the graph of another run, perhaps of another person.

    Parameters
    ----------
    workflow : dict or None
        The graph of this run, None where it came without one.
    disabled : bool
        ComfyUI was started with --disable-metadata: nothing is included, nor kept.
    generation : Found or None
        How the image was made; it replaces what the image has. Where nothing was found, what the image has is kept.
        None where it is not wanted.
    """
    if disabled:
        asked = wants_workflow or generation is not None or prompt.strip() or image.metadata
        note = f"{WARNING} Nothing was included in the file: ComfyUI was started with --disable-metadata."
        return codec.with_metadata(image, None), [note] if asked else []
    metadata = {key: value for key, value in image.metadata.items() if key != "workflow"}
    notes: list[str] = []
    if generation is not None and generation.values:
        others = {key: value for key, value in metadata.items() if key not in KEYS}
        metadata, notes = with_parts(others, "prompt with settings", generation.values, notes)
    if generation is not None:
        notes += missing_notes(generation, prompt.strip())
    if prompt.strip():
        metadata, notes = with_parts(metadata, "prompt", {"prompt": prompt}, notes)
    if wants_workflow and workflow is None:
        notes.append(f"{WARNING} No workflow was included: this run has none.")
    elif wants_workflow:
        metadata, notes = with_parts(metadata, "workflow", {"workflow": workflow}, notes)
    if metadata == image.metadata:
        return image, notes
    return codec.with_metadata(image, metadata), notes


def missing_notes(generation: Found, prompt: str) -> list[str]:
    """What a user is told about prompt and settings that cannot be read from the graph."""
    if generation.reason:
        return [f"{WARNING} No prompt and settings were included: {generation.reason}."]
    missing = {key: why for key, why in generation.missing.items() if not (key == "prompt" and prompt)}
    if not missing:
        return []
    listed = ", ".join(f"{key} ({why})" for key, why in missing.items())
    advice = " To include the prompt, connect its text to this node." if "prompt" in missing else ""
    return [f"{WARNING} Could not be read from the workflow, so not included: {listed}.{advice}"]


def with_parts(metadata: dict, name: str, parts: dict, notes: list[str]) -> tuple[dict, list[str]]:
    """Metadata with more parts; where they cannot be stored, the same metadata and one more note."""
    extended = metadata | parts
    try:
        codec.check_metadata(extended)
    except codec.SdcArgumentError as error:
        return metadata, [*notes, f"{WARNING} No {name} was included: {error}."]
    return extended, notes
