"""Figures as text."""

from dev.report import align


def table(header: list[str], rows: list[list[str]]) -> str:
    """Aligned columns for a terminal; all but the first are set flush right."""
    return "\n".join(align([header, *rows]))


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def mean(values: list[float | None]) -> float | None:
    """The mean of what is there, or None when a picture lacks it: half a mean would mislead."""
    return None if not values or None in values else sum(values) / len(values)
