"""Runs a prompt while listening to ComfyUI's messages: bars on the terminal, seconds a stage. Needs aiohttp."""

import asyncio
import json
import sys
import time

import aiohttp

from .client import Client, ComfyError

WIDTH = 30
OTHER = "other"  # not worth a line


class Progress:
    def __init__(self, client: Client, stages: dict[str, str]):
        self.client = client
        self.stages = stages  # node id -> stage; several nodes may share one
        self.seconds: dict[str, float] = {}
        self.stage: str | None = None
        self.since = 0.0

    async def run(self, prompt: dict, workflow: dict) -> dict:
        """Queue the prompt and return its outputs once it has run."""
        url = f"{self.client.url}/ws?clientId={self.client.id}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as messages:
            prompt_id = await asyncio.to_thread(self.client.queue, prompt, workflow)
            async for message in messages:
                if message.type == aiohttp.WSMsgType.TEXT and self.ended(json.loads(message.data), prompt_id):
                    break
            else:
                raise ComfyError("ComfyUI ended while it was working.")
        self.enter(None)
        return await asyncio.to_thread(self.client.wait, prompt_id)

    def ended(self, message: dict, prompt_id: str) -> bool:
        kind, data = message["type"], message["data"]
        if data.get("prompt_id") != prompt_id:
            return False
        if kind == "executing" and data["node"] is not None:
            self.enter(self.stages.get(data["node"], OTHER))
        elif kind == "progress":
            self.draw(data["value"], data["max"])
        return kind in ("execution_success", "execution_error", "execution_interrupted")

    def enter(self, stage: str | None):
        """Book the time since the last change to the stage it belonged to, and begin another."""
        now = time.monotonic()
        if self.stage:
            self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self.since
        self.since = now
        if stage == self.stage:
            return
        if self.stage and self.stage != OTHER:
            line = f"  {self.stage:<13}{self.seconds[self.stage]:8.1f} s"
            print(f"\r{line:<{WIDTH + 32}}" if sys.stdout.isatty() else line, flush=True)
        self.stage = stage
        if stage and stage != OTHER:
            self.draw(0, 1)

    def draw(self, value: int, most: int):
        if sys.stdout.isatty():
            full = WIDTH * value // max(most, 1)
            count = f"{value}/{most}" if most > 1 else ""
            print(f"\r  {self.stage:<13}[{'#' * full}{'.' * (WIDTH - full)}] {count:<12}", end="", flush=True)
