import subprocess
import sys

import numpy as np
import pytest
import sdc_codec as codec


@pytest.fixture
def run_python(root):
    """Run Python in a process of its own, in the repository's root."""

    def run_python(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)

    return run_python


@pytest.fixture
def run(run_python):
    """Run the command line."""
    return lambda *arguments: run_python("-m", "codec", *arguments)


def test_encode_info_decode(run, tmp_path, smooth_latent):
    latent = smooth_latent()
    np.save(tmp_path / "in.npy", latent)
    options = {"colours": 16, "dither_strength": 0.5, "seed": 3, "width": 191, "height": 127}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    encoded = run("encode", tmp_path / "in.npy", tmp_path / "out.sdc", *arguments, "--prompt", "red\x1b[31m")
    assert (encoded.returncode, encoded.stderr) == (0, "")
    picture = codec.read((tmp_path / "out.sdc").read_bytes())
    assert picture == codec.encode(latent, **options, metadata={"prompt": "red\x1b[31m"})

    told = run("info", tmp_path / "out.sdc")
    assert told.returncode == 0
    assert "191 x 127 pixels" in told.stdout and f"{picture.size} bytes" in told.stdout and "16 colours" in told.stdout
    assert "prompt" in told.stdout and "\x1b" not in told.stdout

    assert run("decode", tmp_path / "out.sdc", tmp_path / "back.npy").returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), codec.decode(picture))


def test_files_are_overwritten_only_when_forced(run, tmp_path, smooth_latent):
    np.save(tmp_path / "in.npy", smooth_latent())
    output = tmp_path / "out.sdc"
    output.write_text("precious")
    refused = run("encode", tmp_path / "in.npy", output)
    assert refused.returncode == 1 and "out.sdc" in refused.stderr and "Traceback" not in refused.stderr
    assert output.read_text() == "precious"
    assert run("encode", tmp_path / "in.npy", output, "--force").returncode == 0
    assert codec.read(output.read_bytes()).colours > 1
    refused = run("decode", output, tmp_path / "in.npy")
    assert refused.returncode == 1 and np.load(tmp_path / "in.npy").shape == (4, 16, 24)


def test_errors_are_one_line_and_status_1(run, tmp_path):
    (tmp_path / "other.sdc").write_bytes(b"PK\x03\x04" + bytes(50))
    np.save(tmp_path / "flat.npy", np.zeros((8, 8)))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "archive.npz", latent=np.zeros((4, 8, 8)))
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "empty.npy").write_bytes(b"")
    out = tmp_path / "out.sdc"
    for arguments, message in [
        (("info", tmp_path / "missing.sdc"), "missing.sdc"),
        (("info", tmp_path / "other.sdc"), "other.sdc: not an SDC file"),
        (("decode", tmp_path / "other.sdc", tmp_path / "out.npy"), "not an SDC file"),
        (("encode", tmp_path / "flat.npy", out), "shape"),
        (("encode", tmp_path / "pickle.npy", out), "pickle.npy"),
        (("encode", tmp_path / "archive.npz", out), "archive"),
        (("encode", tmp_path / "text.npy", out), "text.npy"),
        (("encode", tmp_path / "empty.npy", out), "empty.npy"),
        (("encode", tmp_path / "flat.npy", out, "--colours", "1"), "error"),
    ]:
        result = run(*arguments)
        assert result.returncode == 1, arguments
        assert result.stderr.startswith("error: ") and message in result.stderr and "Traceback" not in result.stderr
    assert not out.exists()


def test_info_goes_on_after_a_bad_file(run, tmp_path, fixtures):
    good = fixtures / "v1_zstd_k16.sdc"
    result = run("info", tmp_path / "missing.sdc", good)
    assert result.returncode == 1 and "v1_zstd_k16.sdc: " in result.stdout


def test_help_lists_the_commands(run):
    result = run("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in ("info", "encode", "decode"))
    assert run().returncode == 2


def test_the_package_needs_only_numpy_and_zstandard(run_python):
    script = (
        "import sys, numpy, zstandard, json, argparse, zlib, struct, pathlib, dataclasses\n"
        "before = set(sys.modules)\n"
        "import codec, codec.__main__\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'codec', 'numpy', 'zstandard'}))\n"
        "print(sorted({'torch', 'comfy', 'comfy_api', 'nodes', 'scipy'} & set(sys.modules)))\n"
    )
    result = run_python("-c", script)
    assert (result.stdout, result.stderr) == ("[]\n[]\n", "")


def test_the_example_in_the_package_docstring_holds(run_python):
    script = "import codec, doctest; print(doctest.testmod(codec))"
    result = run_python("-c", script)
    assert result.stdout == "TestResults(failed=0, attempted=7)\n"
