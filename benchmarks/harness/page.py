"""One HTML page of tables and images that needs nothing else but the files beside it."""

import html

from dev.tables import Table

STYLE = """body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: 0.2rem 0.8rem; text-align: right }
td:first-child, th:first-child { text-align: left } tr:nth-child(even) { background: #8881 }
.images { display: grid; gap: 0.5rem; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)) }
figure { margin: 0 } img { width: 100% } figcaption, li { font-size: 0.9rem }"""


def make_page(title: str, introduction: list[str], tables: list[Table], images: dict[str, dict[str, str]]) -> str:
    """`images` gives for each original the files to show by their captions, relative to the page."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(text)}</p>" for text in introduction)]
    parts += map(to_html, tables)
    if images:
        parts.append("<h2>Images</h2>")
    for name, files in images.items():
        figures = [
            f'<figure><a href="{html.escape(file)}"><img src="{html.escape(file)}" alt="" loading="lazy"></a>'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, file in files.items()
        ]
        parts += [f"<h3>{html.escape(name)}</h3>", f'<div class="images">{"".join(figures)}</div>']
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def to_html(table: Table) -> str:
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    rows = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    heading = f"<h2>{html.escape(table.title)}</h2>"
    return f"{heading}\n<ul>{notes}</ul>\n<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
