"""The `.sdc` files that come with the pack, for users who have none yet; web/sample/README.md has their sources."""

from pathlib import Path

PREFIX = "sample: "
FOLDER = Path(__file__).parents[2] / "web" / "sample"


def list_samples() -> list[str]:
    """Names as Load SDC lists them, such as "sample: espresso.sdc"."""
    return [PREFIX + path.name for path in sorted(FOLDER.glob("*.sdc"))]


def find_sample(file: str) -> str | None:
    """The path of a sample by its name in the list; None for any other name."""
    if not file.startswith(PREFIX) or file not in list_samples():
        return None
    return str(FOLDER / file.removeprefix(PREFIX))
