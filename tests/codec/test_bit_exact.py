"""A file decodes to the same bytes with an older numpy, other numbers of threads and other instructions."""

import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import dev_environment
import numpy as np
import pytest
import sdc_codec as codec

DECODE = """
import hashlib, json, sys
from pathlib import Path
import ctypes, numpy, codec
core = numpy._core if hasattr(numpy, "_core") else numpy.core
umath = core._multiarray_umath
core_name = ""
for path in Path(numpy.__file__).parents[1].glob("numpy.libs/*openblas64*"):
    core_of = ctypes.CDLL(str(path)).scipy_openblas_get_corename64_
    core_of.restype = ctypes.c_char_p
    core_name = core_of().decode()
print(json.dumps({
    "blas": core_name, "numpy": numpy.__version__,
    "features": [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)],
    "latents": {
        path.name: hashlib.sha256(b"".join(
            codec.decode(each).astype("<f4").tobytes() for each in codec.load_all(path.read_bytes())
        )).hexdigest()
        for folder in sys.argv[1:] for path in sorted(Path(folder).glob("*.sdc"))
    },
}))
"""


@pytest.fixture(scope="module")
def images(root, tmp_path_factory):
    """The golden files and random ones that reach every coder, with the digests they decode to here."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(11)
    for number in range(12):
        space = codec.LATENT_FORMATS[number % 4]
        latent = rng.normal(size=(space.channels, *rng.integers(1, 50, 2))) * 10.0 ** rng.integers(-4, 5)
        latent = np.clip(np.repeat(latent, 1 + number % 3, axis=2), -65504, 65504)
        image = codec.encode([latent], "custom", colors=int(rng.integers(2, 1200)), latent_format=space.name)[0]
        (folder / f"random{number}.sdc").write_bytes(image.data)
    folders = [root / "tests" / "fixtures", folder]
    return folders, {path.name: digest(path) for folder in folders for path in folder.glob("*.sdc")}


def digest(path):
    latents = [codec.decode(image).astype("<f4").tobytes() for image in codec.load_all(path.read_bytes())]
    return hashlib.sha256(b"".join(latents)).hexdigest()


@pytest.fixture(scope="module")
def decode(root, images):
    def decode(**variables):
        command = [sys.executable, "-c", DECODE, *map(str, images[0])]
        result = subprocess.run(
            command, cwd=root, env=os.environ | variables, capture_output=True, text=True, check=True
        )
        return json.loads(result.stdout)

    return decode


@pytest.fixture(scope="module")
def old_numpy(tmp_path_factory):
    """A folder with numpy 1.26."""
    if sys.version_info >= (3, 13):
        warnings.warn("NOT TESTED: numpy 1.26 has no wheels for Python 3.13 and later", stacklevel=1)
        pytest.skip("numpy 1.26 has no wheels for Python 3.13 and later; run the tests with 3.11 or 3.12 as well")
    folder, wanted = tmp_path_factory.mktemp("numpy-1.26"), Path(__file__).with_name("numpy-1.26.txt")
    options = ["--quiet", "--python", sys.executable, "--target", folder, "--require-hashes", "-r", wanted]
    dev_environment.uv(dev_environment.cache_root(), "pip", "install", *options)
    return str(folder)


@pytest.mark.parametrize(("core", "threads"), [("Nehalem", 1), ("Haswell", 8)])
def test_threads_and_kernels_of_the_matrix_products(decode, images, core, threads):
    """OpenBLAS has a kernel for each kind of processor, each of which adds in an order of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    found = decode(OPENBLAS_CORETYPE=core, **dict.fromkeys(names, str(threads)))
    assert found["latents"] == images[1]
    if sys.platform == "linux" and platform.machine() == "x86_64":
        assert found["blas"] == core


@pytest.mark.parametrize("without", ["everything", "AVX-512"])
def test_instructions(decode, images, without):
    assert_same_without_instructions(decode, images, without)


@pytest.mark.release  # for it downloads that numpy
@pytest.mark.parametrize("without", ["nothing", "everything", "AVX-512"])
def test_numpy_1_26(decode, images, old_numpy, without):
    if without == "nothing":
        found = decode(PYTHONPATH=old_numpy)
        assert found["numpy"].startswith("1.26.") and found["latents"] == images[1]
    else:
        assert_same_without_instructions(decode, images, without, PYTHONPATH=old_numpy)


def assert_same_without_instructions(decode, images, without, **variables):
    features = decode(**variables)["features"]
    if without == "AVX-512":
        features = [name for name in features if name.startswith("AVX512") or name == "X86_V4"]
    if not features:
        pytest.skip(f"numpy uses no instructions here that could be left out ({without})")
    found = decode(**variables, NPY_DISABLE_CPU_FEATURES=" ".join(features))
    assert not set(features) & set(found["features"])
    assert found["latents"] == images[1]


def test_the_decoder_uses_no_operation_that_may_round_differently(root):
    """Sums and products of many numbers depend on their order, and functions beyond + - * / on the library."""
    inexact = {"exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "pow", "sqrt", "sin", "cos", "tanh"}
    inexact |= {"dot", "matmul", "einsum", "inner", "tensordot", "mean", "var", "std", "average", "interp"}
    files = (
        "image_sequence",
        "container",
        "image",
        "zstd_frame",
        "latent_formats",
        "palette/__init__",
        "palette/indices",
    )
    trees = [ast.parse((root / "codec" / f"{name}.py").read_text("utf-8")) for name in files]
    entries = ast.parse((root / "codec" / "palette" / "entries.py").read_text("utf-8"))
    trees += [node for node in entries.body if getattr(node, "name", "") in ("Palette", "from_bytes")]
    assert len(trees) == len(files) + 2
    for node in (node for tree in trees for node in ast.walk(tree)):
        assert not isinstance(node, ast.MatMult)
        assert getattr(node, "attr", None) not in inexact and getattr(node, "id", None) not in inexact
