"""A Firefox by WebDriver BiDi, the W3C's protocol, which it speaks over a websocket itself: no driver is needed."""

import asyncio
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import aiohttp

from dev import browser

MAX_MESSAGE = 1 << 28
# Nothing is fetched, and no window asks anything.
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
    "trailhead.firstrun.didSeeAboutWelcome": True,
}


def evaluate(pages: list[tuple[Path, str]], seconds: float = 600) -> list:
    """Open pages one after the other in one Firefox.

    Parameters
    ----------
    pages : list of (Path, str)
        A HTML file, and JavaScript for a value or a promise of one; what it resolves to has to fit into JSON.
    seconds : float
        For all of them.

    Returns
    -------
    list
        The values.
    """
    # In a thread of its own, since Playwright keeps a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asyncio.wait_for(_evaluate(pages), seconds))).result()


async def _evaluate(pages: list[tuple[Path, str]]) -> list:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        Path(profile, "user.js").write_text("".join(lines))
        command = [browser.find_or_install_firefox(), "--headless", "--no-remote", "--profile", profile]
        with open(Path(profile, "said.txt"), "wb") as said:
            process = await asyncio.create_subprocess_exec(
                *command, "--remote-debugging-port", "0", stdout=said, stderr=said, env={**os.environ, "HOME": profile}
            )
        try:
            address = await _address(process, Path(profile))
            async with aiohttp.ClientSession() as client:
                async with client.ws_connect(address, max_msg_size=MAX_MESSAGE) as socket:
                    return await _Session(socket).run(pages)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _address(process: asyncio.subprocess.Process, profile: Path) -> str:
    """Where it listens: it writes that into its profile."""
    while process.returncode is None:
        with suppress(OSError, ValueError):
            server = json.loads((profile / "WebDriverBiDiServer.json").read_text())
            return f"ws://{server['ws_host']}:{server['ws_port']}/session"
        await asyncio.sleep(0.05)
    raise RuntimeError(f"Firefox has ended: {(profile / 'said.txt').read_text(errors='replace')}")


class _Session:
    def __init__(self, socket):
        self.socket, self.number = socket, 0

    async def run(self, pages):
        await self.send("session.new", capabilities={})
        tree = await self.send("browsingContext.getTree")
        context = tree["contexts"][0]["context"]
        found = []
        for path, script in pages:
            await self.send("browsingContext.navigate", context=context, url=path.as_uri(), wait="complete")
            done = await self.send(
                "script.evaluate",
                expression=f"(async () => JSON.stringify(await ({script})))()",
                target={"context": context},
                awaitPromise=True,
            )
            if done["type"] != "success":
                raise RuntimeError(f"{path.name}: {done['exceptionDetails']['text']}")
            found.append(json.loads(done["result"]["value"]))
        return found

    async def send(self, method: str, **params):
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        async for message in self.socket:
            answer = json.loads(message.data)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
                return answer["result"]
        raise RuntimeError(f"{method}: Firefox closed the connection")
