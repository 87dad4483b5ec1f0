"""Figures as text, for a terminal and for docs/results.md."""

from dataclasses import dataclass, field


@dataclass
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Aligned columns; all but the first are set flush right."""
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines = [
            [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]
            for cells in lines
        ]
        return "\n".join([self.title, *(f"  {note}" for note in self.notes), "", *map("  ".join, lines), ""])

    def markdown(self) -> str:
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        parts = [
            f"### {self.title}",
            "\n".join(f"* {note}" for note in self.notes),
            "\n".join("| " + " | ".join(cells) + " |" for cells in lines),
        ]
        return "\n\n".join(filter(None, parts)) + "\n"


def mean(values: list[float | None]) -> float | None:
    """The mean of what is there, or None when one is missing: half a mean would mislead."""
    return None if not values or None in values else sum(values) / len(values)


def show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
