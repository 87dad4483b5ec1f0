"""What Save SDC puts beside the picture: a prompt, the workflow, or nothing. A picture is never lost for their sake."""

from ... import codec

WARNING = "\u26a0"


def embed_metadata(
    picture: codec.EncodedPicture, prompt: str, wants_workflow: bool, workflow: dict | None, disabled: bool
) -> tuple[codec.EncodedPicture, list[str]]:
    """The picture with what can be embedded, and notes about what could not be.

    A prompt that the picture has is kept unless there is another one. A workflow that it has came from the graph of
    somebody else or of another day: it is dropped.

    Parameters
    ----------
    workflow : dict or None
        The graph of this run, None where it came without one.
    disabled : bool
        ComfyUI was told to write no metadata: nothing is embedded, nor kept.
    """
    if disabled:
        asked = wants_workflow or prompt.strip() or picture.metadata
        note = f"{WARNING} Nothing was embedded: ComfyUI was started with --disable-metadata."
        return codec.with_metadata(picture, None), [note] if asked else []
    metadata = {key: value for key, value in picture.metadata.items() if key != "workflow"}
    notes: list[str] = []
    if prompt.strip():
        metadata, notes = with_part(metadata, "prompt", prompt, notes)
    if wants_workflow and workflow is None:
        notes.append(f"{WARNING} No workflow was embedded: this run came without one.")
    elif wants_workflow:
        metadata, notes = with_part(metadata, "workflow", workflow, notes)
    if metadata == picture.metadata:
        return picture, notes
    return codec.with_metadata(picture, metadata), notes


def with_part(metadata: dict, key: str, value, notes: list[str]) -> tuple[dict, list[str]]:
    """Metadata with one part more; without it, and with a note, where that cannot be stored."""
    extended = {**metadata, key: value}
    try:
        codec.check_metadata(extended)
    except codec.SdcArgumentError as error:
        return metadata, [*notes, f"{WARNING} No {key} was embedded: {error}."]
    return extended, notes
