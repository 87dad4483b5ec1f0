"""`run.py comfyui`: a real ComfyUI in the folder of a person, and a second one beside it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from dev import foreground, server
from dev.environment import REPO


def test_a_port_that_is_taken_is_said_and_the_next_one_used(comfyui, tmp_path, monkeypatch, capsys):
    server.make_base(tmp_path, REPO)
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        monkeypatch.setattr(foreground, "PORT", taken.getsockname()[1])
        command = foreground.command(["--cpu"], {"comfyui": comfyui}, tmp_path)
    assert int(command[command.index("--port") + 1]) > foreground.PORT and command.count("--cpu") == 1
    assert f"Port {foreground.PORT} is in use" in capsys.readouterr().out
    assert foreground.command(["--cpu", "--port", "1"], {"comfyui": comfyui}, tmp_path).count("--port") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without telling them")
def test_it_answers_alone_in_its_folder_and_ends_when_told(comfyui, tmp_path):
    variables = {**os.environ, "SDC_HOME": str(tmp_path)}
    command = [sys.executable, REPO / "run.py", "--comfyui", comfyui, "--python", sys.executable, "comfyui", "--cpu"]
    options = {"env": variables, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    port = server.free_port()
    with subprocess.Popen([*command, "--port", str(port), "--disable-auto-launch"], **options) as first:
        lines = []
        for line in first.stdout:
            lines.append(line)
            if "To see the GUI go to" in line:
                break
        assert first.poll() is None, "".join(lines)
        assert urllib.request.urlopen(f"http://{server.HOST}:{port}/object_info/SDCLoad").status == 200
        second = subprocess.run(command, **options)
        assert second.returncode == 1 and "Another ComfyUI" in second.stdout and "Traceback" not in second.stdout
        first.send_signal(signal.SIGTERM)
        first.stdout.read()
        assert first.wait() != 0
    assert server.is_free(port) and (tmp_path / "comfyui" / "user" / "comfyui.db").exists()
