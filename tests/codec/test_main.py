import base64
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec.command_line import latent_files


@pytest.fixture
def described(tmp_path, smooth_latent):
    """A file with metadata and a section of the future."""
    image = codec.encode(
        [smooth_latent()], "custom", colors=16, metadata={"prompt": "狐 \x1b[31m", "workflow": {"nodes": []}}
    )[0]
    header, sections = codec.container.parse(image.data, 1 << 30)
    path = tmp_path / "described.sdc"
    path.write_bytes(codec.container.pack(header, {**sections, "z": b"later"}))
    return path


def test_pack_info_extract(run, tmp_path, smooth_latent):
    latent = smooth_latent()
    np.save(tmp_path / "in.npy", latent)
    options = {"colors": 16, "dither_strength": 0.5, "seed": 3, "width": 191, "height": 127}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    packed = run(
        "pack",
        tmp_path / "in.npy",
        "-o",
        tmp_path / "out.sdc",
        *arguments,
        "--preset=custom",
        "--prompt",
        "red\x1b[31m 狐",
    )
    assert (packed.returncode, packed.stderr) == (0, "")
    image = codec.load((tmp_path / "out.sdc").read_bytes())
    assert image == codec.encode([latent], "custom", **options, metadata={"prompt": "red\x1b[31m 狐"})[0]
    assert f"{image.num_bytes} bytes" in packed.stdout

    told = run("info", tmp_path / "out.sdc")
    assert told.returncode == 0
    assert (
        "191 x 127 pixels" in told.stdout and f"{image.num_bytes} bytes" in told.stdout and "16 colors" in told.stdout
    )
    assert "section I: " in told.stdout and "section d: " in told.stdout
    assert "prompt: 'red\\x1b[31m 狐'" in told.stdout and "\x1b" not in told.stdout

    assert run("extract", tmp_path / "out.sdc", "-o", tmp_path / "back.npy").returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), codec.decode(image))


def test_info_names_the_learned_codec_and_its_weights(run, tmp_path, smooth_latent):
    image = codec.encode([smooth_latent()], quality=17)[0]
    (tmp_path / "learned.sdc").write_bytes(image.data)
    weights = image.stored.weights.hex()
    assert (
        f", learned codec, quality 17, weights {weights} (coder learned), checksum "
        in run("info", tmp_path / "learned.sdc").stdout
    )
    told = json.loads(run("info", "--json", tmp_path / "learned.sdc").stdout)
    assert (told["coder"], told["weights"], told["quality"]) == ("learned", weights, 17)


def test_info_as_json_holds_everything(run, described, fixtures, tmp_path):
    image = codec.load(described.read_bytes())
    told = run("info", "--json", described, fixtures / "v1_smallest.sdc")
    first, second = map(json.loads, told.stdout.splitlines())
    assert second["bytes"] == 52 and second["framing_bytes"] == 32
    sections = first.pop("sections")
    assert [section["tag"] for section in sections] == ["P", "I", "d", "z"]
    assert sections[3] == {"tag": "z", "bytes": 5, "bits_per_pixel": 40 / (192 * 128)}
    assert sum(section["bytes"] for section in sections) + 32 + 8 == image.num_bytes
    assert first == {
        "file": str(described),
        "bytes": image.num_bytes,
        "bits_per_pixel": image.bits_per_pixel,
        "version": 1,
        "latent_format": "SD1.x",
        "channels": 4,
        "latent_height": 16,
        "latent_width": 24,
        "width": 192,
        "height": 128,
        "images": 1,
        "coder": image.coder,
        "colors": 16,
        "coding": "16 colors",
        "checksum": f"{int.from_bytes(image.data[-4:], 'little'):08x}",
        "framing_bytes": 40,
        "vae": None,
        "metadata": {"prompt": "狐 \x1b[31m", "workflow": {"nodes": []}},
    }
    assert "\x1b" not in told.stdout


def test_verify_names_what_is_damaged(run, fixtures, tmp_path):
    count = len(list(fixtures.glob("*.sdc")))
    assert run("verify", fixtures).stderr == f"{count} files: {count} sound, 0 failed\n"
    damaged = bytearray((fixtures / "v1_zstd_k16.sdc").read_bytes())
    damaged[100] ^= 1
    (tmp_path / "damaged.sdc").write_bytes(damaged)
    result = run("verify", fixtures / "v1_zstd_k16.sdc", tmp_path / "damaged.sdc", fixtures / "v1_smallest.sdc")
    assert (result.returncode, result.stdout) == (1, "")
    assert "damaged.sdc: the checksum is" in result.stderr and "3 files: 2 sound, 1 failed" in result.stderr


def test_patterns_stand_for_the_files_that_fit(run, fixtures, tmp_path):
    """Windows hands them on as they are."""
    for name in ("b[1].sdc", "b1.sdc", "c.sdc"):
        (tmp_path / name).write_bytes((fixtures / "v1_smallest.sdc").read_bytes())
    assert run("verify", tmp_path / "*.sdc").stderr == "3 files: 3 sound, 0 failed\n"
    assert "b[1].sdc: " in (told := run("info", tmp_path / "b[1]*.sdc").stdout) and "b1.sdc" not in told
    assert run("strip", tmp_path / "?.sdc", tmp_path / "b[1].sdc", "-o", tmp_path / "two").returncode == 0
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["b[1].sdc", "c.sdc"]
    result = run("verify", tmp_path / "*.png")
    assert result.returncode == 1 and "*.png: No such file" in result.stderr


def test_strip_removes_metadata_and_keeps_the_rest(run, described, tmp_path):
    before = described.read_bytes()
    refused = run("strip", described)
    assert refused.returncode == 2 and "--force" in refused.stderr and described.read_bytes() == before
    assert run("strip", described, "-o", tmp_path / "stripped.sdc").returncode == 0
    stripped = codec.load((tmp_path / "stripped.sdc").read_bytes())
    assert stripped.metadata == {} and stripped.data == codec.with_metadata(codec.load(before), None).data
    assert b"z\x05\x00\x00later" in stripped.data
    assert run("strip", "--force", described).returncode == 0
    assert described.read_bytes() == stripped.data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["described.sdc", "stripped.sdc"]


def test_relabel_changes_the_latent_format_alone(run, described, tmp_path):
    before = described.read_bytes()
    refused = run("relabel", "--latent-format", "SDXL", described)
    assert refused.returncode == 2 and "--force" in refused.stderr and described.read_bytes() == before
    output = tmp_path / "out.sdc"
    assert run("relabel", "--latent-format", "SDXL", described, "-o", output).returncode == 0
    changed, original = codec.load(output.read_bytes()), codec.load(before)
    assert (original.latent_format, changed.latent_format) == ("SD1.x", "SDXL")
    assert changed.metadata == original.metadata and changed.data[20:-4] == before[20:-4]
    np.testing.assert_array_equal(codec.decode(changed), codec.decode(original))
    again = run("relabel", "--latent-format", "SDXL", described, "-o", output)
    assert again.returncode == 1 and "out.sdc" in again.stderr  # nothing is overwritten
    refused = run("relabel", "--latent-format", "Flux", described, "-o", tmp_path / "flux.sdc")
    assert refused.returncode == 1 and "4 channels and Flux has 16" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["described.sdc", "out.sdc"]


def test_latent_files_are_those_of_comfyui(run, described, tmp_path):
    assert run("extract", described, "--format", "latent").returncode == 0
    from safetensors.numpy import load_file

    tensors = load_file(tmp_path / "described.latent")
    assert set(tensors) == {"latent_tensor", "latent_format_version_0"}
    assert tensors["latent_format_version_0"].shape == (0,)
    np.testing.assert_array_equal(tensors["latent_tensor"], codec.decode(codec.load_file(described))[None])


def test_a_batch_makes_a_file_a_image(run, tmp_path, smooth_latent):
    from safetensors.numpy import save_file

    batch = np.stack([smooth_latent(seed=seed) for seed in range(3)])
    new, old = tmp_path / "new.latent", tmp_path / "old.latent"
    save_file({"latent_tensor": batch, "latent_format_version_0": np.zeros(0, np.float32)}, new)
    save_file({"latent_tensor": (batch * 0.18215).astype(np.float32)}, old)
    result = run("pack", tmp_path, "--preset=paper")
    assert (result.returncode, result.stderr) == (0, "2 files: 2 packed, 0 failed\n")
    for seed in range(3):
        made = codec.load((tmp_path / f"new_{seed + 1:05}.sdc").read_bytes())
        assert made == codec.encode([batch[seed]], "paper")[0]
        restored = codec.decode(codec.load_file(tmp_path / f"old_{seed + 1:05}.sdc"))
        assert np.std(restored - codec.decode(made)) < 0.5 * np.std(batch[seed])
    assert "do not fit into one pipe" in run("pack", new, "-o", "-").stderr


def test_old_latent_files_are_unscaled():
    from safetensors.numpy import save

    latent = np.linspace(-1, 1, 4 * 2 * 2, dtype=np.float32).reshape(1, 4, 2, 2)
    (read,) = latent_files.parse(save({"latent_tensor": latent}))
    np.testing.assert_allclose(read, latent[0] / 0.18215, rtol=1e-6)


def test_pipes(run, smooth_latent):
    buffer = io.BytesIO()
    np.save(buffer, smooth_latent())
    expected = codec.encode([smooth_latent()], "custom", colors=16, metadata={"prompt": "x"})[0]
    packed = run("pack", "-", "--preset=custom", "--colors", "16", "--prompt", "x", stdin=buffer.getvalue())
    assert (packed.stdout, packed.stderr) == (expected.data, b"")
    assert run("verify", "-", stdin=packed.stdout).returncode == 0
    assert json.loads(run("info", "-", "--json", stdin=packed.stdout).stdout)["bytes"] == expected.num_bytes
    stripped = run("strip", "-", stdin=packed.stdout).stdout
    assert codec.load(stripped) == codec.with_metadata(expected, None)
    for kind in ("npy", "latent"):
        extracted = run("extract", "-", "--format", kind, stdin=packed.stdout).stdout
        np.testing.assert_array_equal(latent_files.parse(extracted)[0], codec.decode(expected))
    too_long = run("verify", "-", stdin=bytes(codec.MAX_FILE_BYTES + 5))
    assert too_long.returncode == 1 and b"more than 33554432 bytes" in too_long.stderr


def test_files_are_overwritten_only_when_forced(run, tmp_path, smooth_latent):
    np.save(tmp_path / "in.npy", smooth_latent())
    output = tmp_path / "in.sdc"
    output.write_text("precious")
    refused = run("pack", tmp_path / "in.npy")
    assert refused.returncode == 1 and "in.sdc" in refused.stderr and "Traceback" not in refused.stderr
    assert output.read_text() == "precious"
    assert run("pack", tmp_path / "in.npy", "--force").returncode == 0
    assert codec.load(output.read_bytes()).quality > 1
    before = (tmp_path / "in.npy").read_bytes()
    refused = run("extract", output)
    assert refused.returncode == 1 and (tmp_path / "in.npy").read_bytes() == before


def test_two_inputs_never_share_an_output(run, tmp_path, described):
    other = tmp_path / "other" / "described.sdc"
    other.parent.mkdir()
    other.write_bytes(described.read_bytes())
    result = run("extract", described, other, "-o", tmp_path / "results", "--force")
    assert result.returncode == 1 and "two inputs" in result.stderr and "1 extracted, 1 failed" in result.stderr
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["described.npy"]


def test_a_thousand_files_with_one_summary(run, tmp_path, described):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number}.sdc").write_bytes(described.read_bytes())
    (folder / "500.sdc").write_bytes(b"broken")
    result = run("strip", folder, "-o", tmp_path / "stripped")
    assert result.returncode == 1 and result.stderr.count("error: ") == 1
    assert result.stderr.endswith("1000 files: 999 stripped, 1 failed\n") and "[#" not in result.stderr
    assert len(list((tmp_path / "stripped").iterdir())) == 999


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_terminal_gets_a_progress_bar(root, fixtures):
    import pty

    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "codec", "verify", str(fixtures)]
    subprocess.run(command, cwd=root, stderr=end, stdout=subprocess.DEVNULL, check=True)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    os.close(end)
    count = len(list(fixtures.glob("*.sdc")))
    assert "[#" in shown and f"/{count}" in shown and shown.rstrip().endswith(f"{count} files: {count} sound, 0 failed")


def test_errors_are_one_line_and_status_1(run, tmp_path):
    from safetensors.numpy import save_file

    (tmp_path / "other.sdc").write_bytes(b"PK\x03\x04" + bytes(50))
    np.save(tmp_path / "flat.npy", np.zeros((8, 8)))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "archive.npz", latent=np.zeros((4, 8, 8)))
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "huge.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 999999999999, 8), }".ljust(118)
    )
    save_file({"weights": np.zeros(3)}, tmp_path / "model.latent")
    out = ("-o", tmp_path / "out.sdc")
    for arguments, message in [
        (("info", tmp_path / "missing.sdc"), "missing.sdc: No such file"),
        (("info", tmp_path / "other.sdc"), "other.sdc: not an SDC file"),
        (("info", ""), "error: "),
        (("extract", tmp_path / "other.sdc", "-o", tmp_path / "out.npy"), "not an SDC file"),
        (("pack", tmp_path / "flat.npy", *out), "shape"),
        (("pack", tmp_path / "pickle.npy", *out), "pickle.npy"),
        (("pack", tmp_path / "archive.npz", *out), "archive.npz: neither"),
        (("pack", tmp_path / "text.npy", *out), "text.npy: neither"),
        (("pack", tmp_path / "empty.npy", *out), "empty.npy: neither"),
        (("pack", tmp_path / "huge.npy", *out), "huge.npy: not a .npy array"),
        (("pack", tmp_path / "model.latent", *out), "here are: weights"),
        (("pack", tmp_path / "flat.npy", *out, "--preset=custom", "--colors", "1"), "error"),
    ]:
        result = run(*arguments)
        assert result.returncode == 1, arguments
        assert result.stderr.startswith("error: ") and message in result.stderr and "Traceback" not in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.sdc").exists()


def test_what_decodes_takes_no_image_larger_than_it_is_told_to(run, tmp_path):
    (tmp_path / "large.sdc").write_bytes(
        codec.encode([np.zeros((4, 2, 2), np.float32)], "custom", width=8000, height=8000)[0].data
    )
    for command in ("verify", "extract", "decode"):
        refused = run(command, tmp_path / "large.sdc")
        assert refused.returncode == 1 and refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
        assert "64000000 pixels and 50000000 are allowed" in refused.stderr and "--max-megapixels" in refused.stderr
    assert run("verify", tmp_path / "large.sdc", "--max-megapixels", "64").returncode == 0
    assert run("info", tmp_path / "large.sdc").returncode == 0  # which decodes nothing
    assert [path.name for path in tmp_path.iterdir()] == ["large.sdc"]


def test_info_goes_on_after_a_bad_file(run, tmp_path, fixtures):
    good = fixtures / "v1_zstd_k16.sdc"
    result = run("info", tmp_path / "missing.sdc", good)
    assert result.returncode == 1 and "v1_zstd_k16.sdc: " in result.stdout


def test_help_lists_the_commands_and_exit_codes(run):
    result = run("--help")
    assert result.returncode == 0 and "exit codes:" in result.stdout
    assert all(command in result.stdout for command in ("info", "verify", "strip", "extract", "pack"))
    assert run().returncode == 2 and run("compress", "x").returncode == 2


def test_without_safetensors_only_latent_files_are_out_of_reach(run_python, described, tmp_path):
    script = (
        "import sys; sys.modules['safetensors'] = None; from codec.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    refused = run_python("-c", script, "extract", described, "--format", "latent")
    assert refused.returncode == 1 and "pip install safetensors" in refused.stderr
    assert run_python("-c", script, "extract", described).returncode == 0
    assert run_python("-c", script, "pack", tmp_path / "described.npy", "--force").returncode == 0


def test_the_package_needs_only_numpy_and_zstandard(run_python):
    script = (
        "import sys, numpy.random, zstandard, json, argparse, zlib, struct, pathlib, dataclasses\n"
        "before = set(sys.modules)\n"
        "import codec, codec.__main__\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'codec', 'numpy', 'zstandard'}))\n"
        "print(sorted({'torch', 'comfy', 'comfy_api', 'nodes', 'scipy', 'safetensors'} & set(sys.modules)))\n"
    )
    result = run_python("-c", script)
    assert (result.stdout, result.stderr) == ("[]\n[]\n", "")


def test_the_example_in_the_package_docstring_holds(run_python):
    script = "import codec, doctest; print(doctest.testmod(codec))"
    result = run_python("-c", script)
    assert result.stdout == "TestResults(failed=0, attempted=7)\n"


def test_page(run, described, tmp_path):
    """One HTML file with the file inside; or a viewer for any file."""
    done = run("page", described)
    assert (done.returncode, done.stdout) == (0, "")
    page = described.with_suffix(".html").read_text("utf-8")
    (files,) = re.findall(r'id="files">(.*?)</script>', page)
    ((name, content),) = json.loads(files)
    assert (name, base64.b64decode(content)) == ("described.sdc", described.read_bytes())
    assert len(page.encode()) < 6e6 and "http://" not in page and "https://" not in page
    again = run("page", described)
    assert again.returncode == 1 and "there is a file of this name already" in again.stderr
    assert run("page", "-o", tmp_path / "viewer.html").returncode == 0
    assert 'id="files">[]</script>' in (tmp_path / "viewer.html").read_text("utf-8")
    described.write_bytes(described.read_bytes()[:-1])
    damaged = run("page", described, "-o", tmp_path / "cut.html")
    assert damaged.returncode == 1 and "is incomplete" in damaged.stderr and not (tmp_path / "cut.html").exists()
