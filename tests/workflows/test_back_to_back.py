"""Two prompts that wait one behind the other, with previews: nothing of the first reaches into the second."""

import asyncio
import json
import struct
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import numpy as np
from PIL import Image, ImageOps

from .conftest import shown

PREVIEW = 4  # of ComfyUI's binary messages, one that says whose it is


async def run_both(client, prompts) -> tuple[list[dict], list[list[str]]]:
    """Outputs of each prompt, and the nodes that its previews are said to be of, in their order."""
    nodes, running = defaultdict(list), None
    url = f"{client.url}/ws?clientId={client.id}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as messages:
        await messages.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        bodies = [
            {"prompt": p, "client_id": client.id, "extra_data": {"preview_method": "latent2rgb"}} for p in prompts
        ]
        answers = [json.loads(await asyncio.to_thread(client.request, "/prompt", body)) for body in bodies]
        ids = [answer["prompt_id"] for answer in answers]
        waiting = set(ids)
        while waiting:
            message = await messages.receive()
            if message.type == aiohttp.WSMsgType.TEXT:
                event = json.loads(message.data)
                if event["type"] == "execution_start":
                    running = event["data"]["prompt_id"]
                elif event["type"] in ("execution_success", "execution_error"):
                    waiting.discard(event["data"]["prompt_id"])
            else:
                assert message.type == aiohttp.WSMsgType.BINARY, "ComfyUI ended while it was working"
                kind, length = struct.unpack(">II", message.data[:8])
                if kind == PREVIEW:
                    told = json.loads(message.data[8 : 8 + length])
                    assert told["prompt_id"] == running
                    nodes[running].append(told["node_id"])
    return [await asyncio.to_thread(client.wait, prompt) for prompt in ids], [nodes[prompt] for prompt in ids]


def test_two_prompts_back_to_back_with_previews(server, make_prompt, image, tmp_path):
    other = tmp_path / "upside_down.png"
    ImageOps.flip(Image.open(image)).save(other)
    prompts = [make_prompt("SDC Full Pipeline", steps=2, image=path) for path in (image, other)]
    client = server.client
    with ThreadPoolExecutor(1) as pool:  # in a thread of its own: Playwright keeps a loop running in this one
        (_, output), (of_first, of_second) = pool.submit(lambda: asyncio.run(run_both(client, prompts))).result()
    together = shown(server, prompts[1], output)
    assert of_first == of_second and len(of_second) > 2
    classes = {prompts[1][node]["class_type"] for node in of_second}
    assert {"SDCDDIMInvert", "SDCRegenerateCanny"} <= classes

    client.request("/free", {"free_memory": True, "unload_models": True})  # nothing comes from ComfyUI's cache
    alone = shown(server, prompts[1], client.run(prompts[1]))
    assert alone.keys() == together.keys() and alone
    for title, expected in alone.items():
        np.testing.assert_array_equal(together[title], expected, title)
