"""The archive that the Comfy registry hands out, unzipped into a fresh ComfyUI."""

import json
import os
import re
import subprocess
import sys
import zipfile

import psutil
import pytest
import requests
from sdc_pack.nodes.tiny import install

from dev.client import Client
from dev.server import PACK_NAME, Server

from .conftest import ROOT, WORKFLOWS
from .test_workflows import NODES

NEEDED = {
    "__init__.py", "nodes", "codec", "bulk", "workflows", "subgraphs", "web", "locales", "weights", "docs",
    "sdc_pillow", "pyproject.toml", "requirements.txt", "README.md", "LICENSE", "CHANGELOG.md",
}  # fmt: skip


def git_files(*options: str) -> set[str]:
    command = ["git", "-C", str(ROOT), "-c", "core.quotepath=off", "ls-files", "-z", *options]
    return set(filter(None, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")))


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory):
    """What `comfy node pack` packs: the files that git knows, less those of .comfyignore."""
    folder = tmp_path_factory.mktemp("archive")
    packed = git_files("--cached") - git_files("--cached", "--ignored", f"--exclude-from={ROOT / '.comfyignore'}")
    with zipfile.ZipFile(folder / "node.zip", "w") as archive:
        for name in packed:
            archive.write(ROOT / name, name)
    with zipfile.ZipFile(folder / "node.zip") as archive:
        archive.extractall(folder / "comfyui-sdc")
    return folder / "comfyui-sdc"


def size(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_archive_holds_only_what_runs(unzipped):
    assert {path.name for path in unzipped.iterdir()} == NEEDED
    assert size(unzipped / "weights") < 30e6
    assert size(unzipped) < 36e6


def test_links_and_images_of_its_pages_are_in_it(unzipped):
    """README is what the registry's page and a downloaded copy show."""
    pages = [page for page in unzipped.rglob("*.md") if "web" not in page.parts]
    assert unzipped / "README.md" in pages
    for page in pages:
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).resolve().is_file(), f"{page.name}: {target}"


@pytest.fixture(scope="module")
def ran(unzipped) -> tuple[Server, list[psutil.Process], dict]:
    """A server with it that was stopped, the processes that there were, and what it answered."""
    with Server(os.environ["SDC_COMFYUI"], sys.executable, pack=unzipped) as server:
        family = [psutil.Process(server.process.pid)]
        family += family[0].children(recursive=True)
        assert (server.base / "custom_nodes" / PACK_NAME / "__init__.py").samefile(unzipped / "__init__.py")
        asked = ("/api/workflow_templates", "/i18n", "/global_subgraphs")
        answers = {path: json.loads(server.client.request(path)) for path in asked}
        answers["nodes"] = {name for name in server.client.object_info() if name.startswith("SDC")}
        answers["help"] = server.client.request("/extensions/comfyui-sdc/docs/SDCSave.md")
        answers["installed"] = json.loads(server.client.request("/sdc/tiny_models", b""))
    return server, family, answers


def test_the_unzipped_archive_works(ran):
    *_, answers = ran
    assert answers["nodes"] == NODES and sorted(answers["/api/workflow_templates"]["comfyui-sdc"]) == WORKFLOWS
    texts = answers["/i18n"].items()
    assert {"ja", "zh"} <= {language for language, entry in texts if "SDCSave" in entry.get("nodeDefs", {})}
    assert {entry["name"] for entry in answers["/global_subgraphs"].values()} >= {
        "SDC Compress", "SDC Decompress", "SDC Decompress File",
    }  # fmt: skip
    assert answers["help"].startswith(b"# Save SDC")
    assert sorted(answers["installed"]["written"]) == sorted(install.NAMES.values())


def test_a_stopped_server_leaves_no_process_and_not_a_file(ran, unzipped):
    server, family, _ = ran
    assert not any(process.is_running() for process in family)
    assert not server.base.exists()
    assert (unzipped / "__init__.py").exists()  # what its folder had a link to
    with pytest.raises(requests.ConnectionError):
        Client(server.url).request("/system_stats")
