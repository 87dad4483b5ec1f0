"""A small client for ComfyUI's HTTP interface. Standard library only."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path


class ComfyError(Exception):
    """ComfyUI refused a prompt or a node failed; the message names the nodes and what they said."""


class Client:
    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self.id = uuid.uuid4().hex  # progress messages go to the client that queued the prompt
        # Proxies are for the world outside; ComfyUI is on this machine.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, path: str, body: bytes | dict | None = None, content_type: str = "application/json") -> bytes:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data, {"Content-Type": content_type} if data else {})
        try:
            with self.opener.open(request, timeout=60) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            raise ComfyError(f"{path.split('?')[0]}: {explain_refusal(error.read())}") from None

    def object_info(self) -> dict:
        return json.loads(self.request("/object_info"))

    def upload(self, picture: Path, name: str | None = None) -> str:
        """Put a picture into the input folder and return the name LoadImage knows it by."""
        boundary = uuid.uuid4().hex
        # Quotes and line breaks would end the header.
        filename = (name or picture.name).translate({ord(char): "_" for char in '"\r\n\\/'})
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{filename}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        answer = json.loads(self.request("/upload/image", body, f"multipart/form-data; boundary={boundary}"))
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
        return self.request(f"/view?{urllib.parse.urlencode(wanted)}")

    def interrupt(self):
        self.request("/interrupt", {})


def explain_refusal(answer: bytes) -> str:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")
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
