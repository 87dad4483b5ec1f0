"""ComfyUI as a child process with folders of its own, so that runs disturb neither each other nor a user's files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .client import Client
from .environment import SetupError, say

HOST = "127.0.0.1"
PACK_NAME = "comfyui-sdc"


class Server:
    """Context manager: ComfyUI without a browser, on a free port, ended with everything it started.

    `models` are folders laid out like ComfyUI's models/, or dicts of kind and folder. `pack` is the custom node pack to
    load, None for none. `base` holds input, output, user and the log; by default it is a temporary folder and is gone
    afterwards. `cpu=None` passes --cpu if torch finds no GPU, and says so. `environment` is added to this
    process's own.
    """

    def __init__(
        self, comfyui: Path, python: Path, pack: Path | None = None, models=(), base: Path | None = None,
        cpu: bool | None = None, arguments=(), environment=(), start_timeout: float = 300,
    ):  # fmt: skip
        self.comfyui, self.python, self.pack, self.models = Path(comfyui), Path(python), pack, list(models)
        self.base, self.cpu, self.arguments, self.start_timeout = base, cpu, list(arguments), start_timeout
        self.environment = {**os.environ, **dict(environment)}
        self.process: subprocess.Popen | None = None
        self.closing = contextlib.ExitStack()

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.closing.close()
            raise
        return self

    def __exit__(self, *_):
        self.closing.close()

    def start(self):
        if self.base is None:
            # On Windows a log may stay in use for a moment after its writer ended.
            temporary = tempfile.TemporaryDirectory(prefix="sdc-comfyui-", ignore_cleanup_errors=True)
            self.base = Path(self.closing.enter_context(temporary))
        self.base = Path(self.base).resolve()
        self.output = self.base / "output"
        self.log = self.base / "comfyui.log"
        make_base(self.base, self.pack)
        # Removed first of all, so that clearing the folder can never reach into the pack.
        self.closing.callback(unlink_pack, self.base)
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        self.client = Client(self.url)
        options = ["--port", str(port), "--disable-auto-launch", "--disable-api-nodes", "--log-stdout"]
        # In memory: a database file is for one process only, and these runs are forgotten anyway.
        options += ["--database-url", "sqlite:///:memory:", *self.arguments]
        command = serve_command(self.comfyui, self.python, self.base, self.models, self.cpu) + options
        # A group of its own, so that Ctrl-C reaches us alone and we end it with all it started.
        group = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if os.name == "nt" else {"start_new_session": True}
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.base, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, **group,
            )  # fmt: skip
        self.closing.callback(self.stop)
        self.wait_until_ready()

    def wait_until_ready(self):
        end = time.monotonic() + self.start_timeout
        while time.monotonic() < end:
            if not self.alive():
                raise SetupError(f"ComfyUI ended while starting. The end of its log:\n\n{tail(self.log)}")
            try:
                self.client.object_info()
                return
            except OSError:  # as all errors of requests are
                time.sleep(0.2)
        raise SetupError(f"ComfyUI did not start in {self.start_timeout:.0f} s. Its log:\n\n{tail(self.log)}")

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self):
        process = self.process
        if os.name == "nt":
            if process.poll() is None:
                process.send_signal(signal.CTRL_BREAK_EVENT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
            if process.poll() is None:
                process.kill()
            process.wait()
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)


def tail(log: Path, lines: int = 25) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def serve_command(comfyui: Path, python: Path, base: Path, models, cpu: bool | None) -> list[str]:
    """The start of ComfyUI's command line: its folders, its models, its address, and --cpu if there is nothing else."""
    command = [str(python), str(comfyui / "main.py"), "--base-directory", str(base), "--listen", HOST]
    folders = [*models, *([comfyui / "models"] if (comfyui / "models").is_dir() else [])]
    config = base / "extra_model_paths.yaml"
    config.write_text(extra_model_paths(folders), encoding="utf-8")
    command += ["--extra-model-paths-config", str(config)]
    if cpu is None:
        from .accelerator import kind  # here, since it imports torch

        cpu = kind() is None
        if cpu:
            say("ComfyUI runs on the CPU, which is slow: torch finds no GPU that it supports.")
    if cpu:
        command.append("--cpu")
    return command


def extra_model_paths(models: list) -> str:
    """ComfyUI's configuration for further models: of a folder every subfolder under its own name."""
    config = {}
    for number, kinds in enumerate(models):
        if not isinstance(kinds, dict):
            kinds = {path.name: str(path) for path in kinds.iterdir() if path.is_dir()}
        config[f"models{number}"] = kinds
    return json.dumps(config, indent=1)  # JSON is YAML


def make_base(base: Path, pack: Path | None):
    for name in ("models/checkpoints", "models/controlnet", "input", "output", "temp", "user", "custom_nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)
    unlink_pack(base)
    if pack:
        link_folder(pack.resolve(), base / "custom_nodes" / PACK_NAME)


def unlink_pack(base: Path):
    link = base / "custom_nodes" / PACK_NAME
    with contextlib.suppress(FileNotFoundError):
        if os.name == "nt":
            os.rmdir(link)  # a junction goes, what it leads to stays
        else:
            link.unlink()


def link_folder(target: Path, link: Path):
    if os.name == "nt":
        import _winapi

        _winapi.CreateJunction(str(target), str(link))  # unlike a symbolic link, no rights are needed
    else:
        link.symlink_to(target, target_is_directory=True)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # else what was closed a moment ago counts, and on Windows it would mean the opposite
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
