"""The HTTP routes under /sdc/, for what the page shows before anything runs. docs/api.md describes the answers."""

import asyncio
from pathlib import Path

import folder_paths
import nodes  # ComfyUI's own
from aiohttp import web

from ... import codec
from ...codec.viewer import build_page, policy
from ..files.listing import Opened, find_listed, name_in_list, named, read_listed
from ..metadata.generation import generation_of
from ..previews.thumbnail import thumbnail_of, version_of
from ..sockets.sdc import about_file
from ..tiny.install import install_models

WEB = Path(__file__).resolve().parents[2] / "web"
MAX_AT_ONCE = 2  # files that are read at a time; other requests wait and take no memory
# Uploads that are received at a time, and the seconds each may take: a laptop that goes to sleep in the middle of one
# keeps others waiting no longer than that, and what is not uploaded not at all.
MAX_UPLOADS, MAX_UPLOAD_TIME = 4, 60
MAX_AGE = 30 * 24 * 60 * 60  # seconds for which a browser keeps a thumbnail that was requested by its version
# A page about a stranger's file: it has an origin of its own, so ComfyUI's server answers none of its requests.
ALONE = "sandbox allow-scripts allow-downloads; frame-ancestors 'none'"


def add_routes(routes: web.RouteTableDef):
    gate, uploads, install_gate = map(asyncio.Semaphore, (MAX_AT_ONCE, MAX_UPLOADS, 1))

    @routes.get("/sdc/info")
    async def info(request):
        def look():
            name = name_in_list(request.query.get("file", ""))
            data = read_listed(name)
            with named(name):
                opened = Opened(codec.load_all(bytes(data)), len(data))
            return web.json_response({"file": name, "version": version_of(data), **describe(opened)})

        async with gate:
            return await answer(look)

    @routes.get("/sdc/thumbnail")
    async def show(request):
        def draw():
            file = request.query.get("file")
            data = read_listed(file)
            version = version_of(data)
            # Another file may get the same name. With the right version in the address, the image never changes.
            caching = (
                f"private, max-age={MAX_AGE}, immutable" if request.query.get("version") == version else "no-cache"
            )
            headers = {"ETag": f'"{version}"', "Cache-Control": caching}
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
            with named(file):
                return web.Response(body=thumbnail_of(data), content_type="image/jpeg", headers=headers)

        async with gate:
            return await answer(draw, status=400)

    @routes.get("/sdc/viewer")
    async def view(request):
        def build():
            file = request.query.get("file")
            data = read_listed(file)  # which may be damaged: the page says so
            headers = {"Content-Security-Policy": f"{policy()}; {ALONE}", "Cache-Control": "no-cache"}
            page = build_page(Path(find_listed(file)).name, data)
            return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)

        async with gate:
            return await answer(build, status=400)

    @routes.post("/sdc/tiny_models")
    async def install(_request):
        def write():
            written = install_models(lambda kind: Path(folder_paths.get_folder_paths(kind)[0]))
            return web.json_response({"written": [path.name for path in written]})

        async with install_gate:
            return await answer(write)

    for name in web_names():
        # The page asks for a language first, and would note a 404 for each node.
        @routes.get(f"/extensions/{name}/docs/{{node}}/{{language}}.md")
        async def help_page(request):
            page = (WEB / "docs" / f"{request.match_info['node']}.md").resolve()
            if page.parent != WEB / "docs" or not page.is_file():
                return web.Response(status=404)
            return web.Response(text=page.read_text(encoding="utf-8"), content_type="text/markdown")

    @routes.post("/sdc/inspect")
    async def inspect(request):
        if (request.content_length or 0) > codec.MAX_FILE_BYTES:
            return refused(TOO_LARGE)
        async with uploads:  # until it is looked at, so that no more of them are in memory
            try:
                data = await asyncio.wait_for(receive(request), MAX_UPLOAD_TIME)
            except asyncio.TimeoutError:
                return refused(f"The upload took more than {MAX_UPLOAD_TIME} seconds. Try again.")
            if data is None:
                return refused(TOO_LARGE)

            def look():
                opened = Opened(codec.load_all(bytes(data)), len(data))
                return web.json_response({**describe(opened), "workflow": opened.images[0].metadata.get("workflow")})

            async with gate:
                return await answer(look)


def web_names() -> list[str]:
    """The names under which ComfyUI serves the pack's scripts and help pages."""
    return [name for name, folder in nodes.EXTENSION_WEB_DIRS.items() if Path(folder).resolve() == WEB]


TOO_LARGE = f"The file is larger than {codec.MAX_FILE_BYTES} bytes, so it is not a .sdc file."


async def receive(request) -> bytearray | None:
    """The body of a request; None where it has more bytes than a file may have."""
    data = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > codec.MAX_FILE_BYTES:
            return None
    return data


async def answer(work, status: int = 200) -> web.Response:
    """Run `work` in a thread; an error of a file becomes a message.

    The status stays 200 for the page's own requests, since browsers log every other one as an error.
    """
    try:
        return await asyncio.to_thread(work)
    except (ValueError, OSError) as error:
        return refused(str(error), status)


def refused(message: str, status: int = 200) -> web.Response:
    return web.json_response({"error": message}, status=status)


def describe(opened: Opened) -> dict:
    """What the page shows of a file; for several images, what they have in common, or the first one has."""
    first, count = opened.images[0], len(opened.images)
    coders = {image.coder for image in opened.images}
    generation = generation_of(first.metadata)
    return {
        "lines": about_file(*opened),
        "images": count,
        "bytes": opened.num_bytes,
        "bits_per_pixel": 8 * opened.num_bytes / (count * first.width * first.height),
        "width": first.width,
        "height": first.height,
        "latent_format": first.latent_format,
        "coder": first.coder if len(coders) == 1 else "several",
        "has_prompt": "prompt" in first.metadata,
        "has_workflow": "workflow" in first.metadata,
        "has_settings": "sampler" in generation,
        "model": generation.get("model", ""),
    }
