"""A page that shows `.sdc` files in any browser: one HTML file with scripts, weights and, if wanted, a file inside.

The scripts beside this one are a decoder of their own, written for the text of FORMAT.md, and the small autoencoder's
decoder. They are not modules, and nothing is fetched, so that the page works from a disk too.
"""

import base64
import functools
import hashlib
import html
import json
from pathlib import Path

from .resources import packed

HERE = Path(__file__).parent
# In the order in which they need each other.
WORKER = (
    "errors", "zstd_tables", "xxh64", "zstd", "json", "file", "palette", "arrays", "learned_layers", "learned",
    "archive_entropy", "archive_blocks", "archive", "component", "plan", "kernel", "wasm", "webgpu", "worker",
)  # fmt: skip
TITLE = "SDC viewer"


def build_page(name: str | None = None, data: bytes | None = None) -> bytes:
    """The page as one HTML file.

    Parameters
    ----------
    name, data : str and bytes, optional
        A `.sdc` file that the page shows when it is opened. It is not looked into here.

    Returns
    -------
    bytes
        UTF-8. Its Content-Security-Policy allows its own scripts alone, by their hashes, and no requests.
    """
    style, script = _read("page.css"), _read("page.js")
    files = [] if data is None else [[name, base64.b64encode(data).decode("ascii")]]
    parts = {
        "policy": policy(),
        "title": html.escape(TITLE if name is None else f"{name} - {TITLE}"),
        "style": style,
        "resources": _json(packed()),
        "files": _json(files),
        "worker": worker_script(),
        "page": script,
    }
    page = _read("page.html")
    pieces = []
    for key, value in parts.items():  # in the order of the page: what is put in is never searched
        before, _, page = page.partition("{{" + key + "}}")
        pieces += [before, value]
    return "".join([*pieces, page]).encode()


@functools.cache
def policy() -> str:
    """The page's Content-Security-Policy."""
    return (
        f"default-src 'none'; script-src {_hash(_read('page.js'))} 'wasm-unsafe-eval'; "
        f"style-src {_hash(_read('page.css'))}; worker-src blob:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types sdc-viewer"
    )


@functools.cache
def worker_script() -> str:
    """What runs in the page's workers."""
    script = "\n".join(_read(f"{name}.js") for name in WORKER)
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script cannot stand in a page")
    return script


@functools.cache
def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _json(value: object) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
