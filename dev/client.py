"""A small client for ComfyUI's HTTP interface."""

import asyncio
import json
import time
import uuid
from pathlib import Path

import aiohttp
import requests
from tqdm import tqdm


class ComfyError(Exception):
    """ComfyUI refused a prompt or a node failed; the message names the nodes and what they said."""


class Client:
    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self.id = uuid.uuid4().hex  # progress messages go to the client that queued the prompt
        self.session = requests.Session()
        self.session.trust_env = False  # proxies are for the world outside; ComfyUI is on this machine

    def request(self, path: str, body: bytes | dict | None = None, **options) -> bytes:
        """GET; or POST where there is a body, a dict as JSON. `options` are those of requests."""
        if isinstance(body, dict):
            options["json"] = body
        elif body is not None:
            options |= {"data": body, "headers": {"Content-Type": "application/json"}}
        method = "POST" if {"json", "data", "files"} & options.keys() else "GET"
        answer = self.session.request(method, self.url + path, timeout=300, **options)
        if not answer.ok:
            raise ComfyError(f"{path.split('?')[0]}: {explain_refusal(answer)}")
        return answer.content

    def object_info(self) -> dict:
        return json.loads(self.request("/object_info"))

    def upload(self, image: Path) -> str:
        """Put an image into the input folder and return the name LoadImage knows it by."""
        with image.open("rb") as file:
            answer = json.loads(self.request("/upload/image", files={"image": (image.name, file)}))
        return "/".join(filter(None, (answer["subfolder"], answer["name"])))

    def queue(self, prompt: dict, workflow: dict | None = None) -> str:
        """Queue an API prompt and return its id. `workflow` is what nodes may embed into the files they save."""
        body = {"prompt": prompt, "client_id": self.id}
        if workflow is not None:
            body["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        answer = json.loads(self.request("/prompt", body))
        if answer.get("node_errors"):
            raise ComfyError(explain_node_errors(answer["node_errors"]))
        return answer["prompt_id"]

    def history(self, prompt_id: str) -> dict | None:
        return json.loads(self.request(f"/history/{prompt_id}")).get(prompt_id)

    def wait(self, prompt_id: str, timeout: float = 3600) -> dict:
        """Wait until a prompt has run and return its outputs: node id -> what the node shows."""
        end = time.monotonic() + timeout
        while (entry := self.history(prompt_id)) is None:
            if time.monotonic() > end:
                raise ComfyError(f"The prompt did not finish in {timeout:.0f} s.")
            time.sleep(0.1)
        if entry["status"]["status_str"] != "success":
            raise ComfyError(explain_messages(entry["status"]["messages"]))
        return entry["outputs"]

    def run(self, prompt: dict, workflow: dict | None = None, timeout: float = 3600) -> dict:
        return self.wait(self.queue(prompt, workflow), timeout)

    def view(self, file: dict) -> bytes:
        """The content of a file that an output names: {"filename", "subfolder", "type"}."""
        wanted = {key: file[key] for key in ("filename", "subfolder", "type") if key in file}
        return self.request("/view", params=wanted)

    def interrupt(self):
        self.request("/interrupt", {})


class TimedRun:
    """Runs a prompt with a bar on the terminal for each stage; `seconds` are those of each."""

    def __init__(self, client: Client, stages: dict[str, str]):
        self.client = client
        self.stages = stages  # node id -> stage; several nodes may share one
        self.seconds: dict[str, float] = {}
        self.stage: str | None = None
        self.since, self.bar = 0.0, None

    async def run(self, prompt: dict, workflow: dict | None) -> dict:
        """Queue the prompt and return its outputs once it has run."""
        url = f"{self.client.url}/ws?clientId={self.client.id}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as messages:
            prompt_id = await asyncio.to_thread(self.client.queue, prompt, workflow)
            async for message in messages:
                if message.type == aiohttp.WSMsgType.TEXT and self.has_ended(json.loads(message.data), prompt_id):
                    break
            else:
                raise ComfyError("ComfyUI ended while it was working.")
        self.enter(None)
        return await asyncio.to_thread(self.client.wait, prompt_id)

    def has_ended(self, message: dict, prompt_id: str) -> bool:
        kind, data = message["type"], message["data"]
        if data.get("prompt_id") != prompt_id:
            return False
        if kind == "executing" and data["node"] is not None:
            self.enter(self.stages[data["node"]])
        elif kind == "progress" and self.bar is not None:
            self.bar.total, self.bar.n = data["max"], data["value"]
            self.bar.refresh()
        return kind in ("execution_success", "execution_error", "execution_interrupted")

    def enter(self, stage: str | None):
        """Book the time since the last change to the stage it belonged to, and begin another."""
        now = time.monotonic()
        if self.stage:
            self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self.since
        self.since = now
        if stage != self.stage:
            if self.bar is not None:
                self.bar.close()
            self.stage = stage
            self.bar = tqdm(desc=f"  {stage}", leave=False, disable=None) if stage else None


def explain_refusal(answer: requests.Response) -> str:
    try:
        parsed = answer.json()
    except ValueError:
        return answer.text
    if parsed.get("node_errors"):
        return explain_node_errors(parsed["node_errors"])
    error = parsed.get("error", parsed)
    return f"{error.get('message')} {error.get('details', '')}".strip() if isinstance(error, dict) else str(error)


def explain_node_errors(node_errors: dict) -> str:
    lines = [
        f"node {node_id} ({node['class_type']}): {error['message']}: {error.get('details', '')}"
        for node_id, node in node_errors.items()
        for error in node["errors"]
    ]
    return "ComfyUI refused the prompt\n  " + "\n  ".join(lines)


def explain_messages(messages: list) -> str:
    for kind, details in messages:
        if kind == "execution_error":
            node = f"node {details['node_id']} ({details['node_type']})"
            return f"{node} failed: {details['exception_type']}: {details['exception_message'].strip()}"
        if kind == "execution_interrupted":
            return f"interrupted in node {details['node_id']} ({details['node_type']})"
    return "the prompt failed, and ComfyUI did not say why"
