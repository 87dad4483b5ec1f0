"""Images that come with the pack, for those who have no .sdc file yet. README.md says where they are from."""

from pathlib import Path

PREFIX = "sample: "


def list_samples() -> list[str]:
    """Names as Load SDC lists them, such as "sample: espresso.sdc"."""
    return [PREFIX + path.name for path in sorted(Path(__file__).parent.glob("*.sdc"))]


def find_sample(file: str) -> str | None:
    """The path of a sample by its name in the list; None for any other name."""
    if not file.startswith(PREFIX) or file not in list_samples():
        return None
    return str(Path(__file__).parent / file.removeprefix(PREFIX))
