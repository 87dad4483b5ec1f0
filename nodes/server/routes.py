"""What the front end asks the server about `.sdc` files before anything is run. docs/api.md lists the answers."""

import asyncio
import hashlib
from pathlib import Path

import folder_paths
from aiohttp import web

from ... import codec
from ..files.listing import Opened, name_in_list, named, read_listed
from ..previews.thumbnail import MAX_PIXELS, jpeg, thumbnail
from ..sockets.sdc import about_file
from ..tiny.install import install_models

AT_ONCE = 2  # files that are looked into side by side; others wait, without memory
KEPT = 64  # thumbnails, some 10 kB each


def add_routes(routes: web.RouteTableDef):
    gate, install_gate = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(1)
    thumbnails: dict[str, bytes] = {}  # by content

    @routes.get("/sdc/info")
    async def info(request):
        def look():
            name = name_in_list(request.query.get("file", ""))
            data = read_listed(name)
            with named(name):
                opened = Opened(codec.load_all(data), len(data))
            return web.json_response({"file": name, "version": version_of(data), **about(opened)})

        async with gate:
            return await answer(look)

    @routes.get("/sdc/thumbnail")
    async def show(request):
        def draw():
            file = request.query.get("file")
            data = read_listed(file)
            # Another file may come to lie under the same name. So only who names the content may keep the image;
            # others ask again.
            version = version_of(data)
            tag = f'"{version}"'
            fixed = request.query.get("version") == version
            headers = {"ETag": tag, "Cache-Control": "private, max-age=604800, immutable" if fixed else "no-cache"}
            if request.headers.get("If-None-Match") == tag:
                return web.Response(status=304, headers=headers)
            with named(file):
                image = thumbnails.get(tag) or jpeg(thumbnail(codec.load_first(data, max_pixels=MAX_PIXELS)))
            thumbnails[tag] = image
            while len(thumbnails) > KEPT:
                thumbnails.pop(next(iter(thumbnails)), None)
            return web.Response(body=image, content_type="image/jpeg", headers=headers)

        async with gate:
            return await answer(draw, status=400)

    @routes.post("/sdc/tiny_models")
    async def install(_request):
        def write():
            written = install_models(lambda kind: Path(folder_paths.get_folder_paths(kind)[0]))
            return web.json_response({"written": [path.name for path in written]})

        async with install_gate:
            return await answer(write)

    @routes.post("/sdc/inspect")
    async def inspect(request):
        async with gate:  # before anything of it is in memory
            data = bytearray()
            async for chunk in request.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > codec.MAX_FILE_BYTES:  # no reader takes in more than this
                    return refused(f"The file has more than {codec.MAX_FILE_BYTES} bytes, so it cannot be a .sdc file.")

            def look():
                opened = Opened(codec.load_all(bytes(data)), len(data))
                return web.json_response({**about(opened), "workflow": opened.images[0].metadata.get("workflow")})

            return await answer(look)


def version_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


async def answer(work, status: int = 200) -> web.Response:
    """Do the work off the server's loop; what is wrong with a file becomes a message.

    That a file is damaged or missing is an answer like any other: with an error status, browsers would log it.
    """
    try:
        return await asyncio.to_thread(work)
    except (ValueError, OSError) as error:
        return refused(str(error), status)


def refused(message: str, status: int = 200) -> web.Response:
    return web.json_response({"error": message}, status=status)


def about(opened: Opened) -> dict:
    """What the page shows of a file; of several images that which they have in common, or the first has."""
    image, count = opened.images[0], len(opened.images)
    coders = {each.coder for each in opened.images}
    return {
        "lines": about_file(*opened),
        "images": count,
        "bytes": opened.size,
        "bits_per_pixel": 8 * opened.size / (count * image.width * image.height),
        "width": image.width,
        "height": image.height,
        "latent_format": image.latent_format,
        "coder": image.coder if len(coders) == 1 else "several",
        "has_prompt": "prompt" in image.metadata,
        "has_workflow": "workflow" in image.metadata,
    }
