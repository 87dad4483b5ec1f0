"""Measured figures as tables: Markdown, which a terminal shows as well as a document, and JSON."""

from dataclasses import dataclass, field


@dataclass
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [
            [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]
            for cells in (self.header, rule, *self.rows)
        ]
        notes = "\n".join(f"* {note}" for note in self.notes)
        return "\n\n".join(
            filter(None, [f"### {self.title}", notes, "\n".join(f"| {' | '.join(cells)} |" for cells in lines)])
        )


def mean(values: list[float | None]) -> float | None:
    """The mean, or None when a value is missing: a mean over some of the images would mislead."""
    return None if not values or None in values else sum(values) / len(values)


def show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, "z" + form)  # no -0
