"""The page that shows .sdc files anywhere: its decoder gives the bits of the codec and refuses what that refuses."""

import base64
import importlib.util
import io
import json
import random
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import sdc_pack.codec as codec
from PIL import Image
from sdc_pack.codec import container, viewer
from sdc_pack.codec.autoencoder import thumbnail, tiny_vae
from sdc_pack.codec.command_line.image_files import decode_to_file
from sdc_pack.codec.viewer import resources

from dev import browser

from .conftest import ROOT, SCREENSHOTS

GOLDEN = sorted((ROOT / "tests" / "fixtures").glob("*.sdc"))
PLACES = 2000  # of a latent of the learned codec, which this test decodes if it is damaged
DAMAGED = 200

# In the page: [message of the error] or [null, [latent, metadata] of each image]
READ = """([content, places]) => {
    const bytes = fromBase64(content)
    const toBase64 = ({ buffer }) => {
        let text = ''
        for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte)
        return btoa(text)
    }
    try {
        const { header, images } = loadFile(bytes, resources)
        return [null, images.map(({ coder, stored, metadata }) => {
            const large = coder === 'learned' && header.latentHeight * header.latentWidth > places
            return [large ? null : toBase64(stored.decode()), writeJson(metadata)]
        })]
    } catch (error) {
        if (!(error instanceof SdcError)) throw error
        return [`${error.kind}: ${error.message}`]
    }
}"""


@pytest.fixture(scope="module")
def damage():
    """tests/codec/damage.py, which makes damaged files."""
    if "damage" not in sys.modules:
        spec = importlib.util.spec_from_file_location("damage", ROOT / "tests" / "codec" / "damage.py")
        sys.modules["damage"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["damage"])
    return sys.modules["damage"]


@pytest.fixture(scope="module")
def blank(chromium, tmp_path_factory):
    """A page with the scripts of the worker and nothing else."""
    path = tmp_path_factory.mktemp("blank") / "blank.html"
    path.write_text("<!doctype html><title>blank</title>", encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.add_script_tag(content=viewer.worker_script())
    yield page
    page.close()


@pytest.fixture(scope="module")
def read(blank):
    """(message, None) or (None, [(latent, metadata) of each image]) of a file, as the page's decoder has it."""
    blank.evaluate("packed => { resources = new Resources(packed) }", viewer.packed(complete=True))

    def read(data: bytes, places: float = 1e9):
        error, *found = blank.evaluate(READ, [base64.b64encode(data).decode(), places])
        if error is not None:
            return error, None
        return None, [(latent and base64.b64decode(latent), json.loads(text)) for latent, text in found[0]]

    return read


def read_by_codec(data: bytes, places: float = 1e9):
    """The same by the codec."""
    try:
        found = []
        for image in codec.load_all(data):
            large = image.coder == "learned" and image.latent_height * image.latent_width > places
            latent = None if large else codec.decode(image).astype("<f4").tobytes()
            found.append((latent, image.metadata))
        return None, found
    except codec.SdcError as error:
        return f"{type(error).__name__}: {error}", None


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_latents_of_golden_files_are_those_of_the_codec(read, path):
    data = path.read_bytes()
    assert read(data) == read_by_codec(data)


def alike(message: str | None) -> str | None:
    """A message without what libraries say in their own words."""
    return message and re.sub(r" \(.*|(are not valid JSON|are not UTF-8|it knows ).*", r"\1", message, flags=re.DOTALL)


def test_damaged_files_are_refused_for_the_reason_that_the_codec_gives(read, damage):
    reasons, taken = set(), 0
    for seed in range(DAMAGED):
        data = damage.damaged(random.Random(seed), damage.GOLDEN)
        (error, found), (reason, expected) = read(data, PLACES), read_by_codec(data, PLACES)
        if "nested more than" in (error or "") and reason:
            continue  # which the page notices before whatever else is wrong
        if "do not fill their stream" in (error or "") and reason is None:
            continue  # RFC 8878 has it that literals do; libzstd does not always look
        assert alike(error) == alike(reason) and found == expected, f"seed {seed}: {error} / {reason}"
        reasons.add(re.sub(r"\d+", "", alike(reason) or ""))
        taken += error is None
    assert len(reasons) > 25 and taken > DAMAGED / 20


def test_what_the_page_brings_along_is_what_the_pack_has(blank):
    """Weights and dictionaries, unpacked in the page; for what leads to no image the page knows whose it is."""
    complete = resources.everything()
    for name, arrays in resources.for_page().items():
        found = blank.evaluate(
            """packed => Object.entries(unpackArrays(fromBase64(packed))).map(([name, value]) =>
                typeof value === 'string' ? [name, value] : [name, value.shape, [...value.values].reduce(
                    (sum, number, i) => sum + number * (i % 1009 + 1), 0)])""",
            viewer.packed()[name],
        )
        assert [each[0] for each in found] == list(arrays)
        for key, *value in found:
            whole = complete[name][key]
            if isinstance(whole, str):
                assert value == [whole]
                continue
            numbers = whole.astype(np.float64).ravel()
            expected = float(np.sum(numbers * (np.arange(numbers.size) % 1009 + 1)))
            assert value[0] == list(whole.shape) and value[1] == pytest.approx(expected, rel=1e-9, abs=1e-6)


HOSTILE = '</script><img src=x onerror="document.title=1"> & <b>bold</b>'


@pytest.fixture
def view(chromium, tmp_path):
    """Open the page of a file by its address on the disk; it may ask nobody for anything and report no error."""
    opened, problems, requests = [], [], []

    def view(name: str | None = None, data: bytes | None = None, query: str = ""):
        path = tmp_path / "page.html"
        path.write_bytes(viewer.build_page(name, data))
        page = chromium.new_page()
        page.set_default_timeout(180_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        opened.append(page)
        page.goto(path.as_uri() + query)
        return page

    yield view
    for page in opened:
        page.close()
    assert not problems
    assert all(url.startswith(("file:", "blob:")) for url in requests)


def shown(page) -> np.ndarray:
    """The image that the page shows, once it is there: (H, W, 3) uint8."""
    page.locator("#status", has_text="Decoded in").wait_for()
    width, height, *pixels = page.evaluate(
        """() => { const canvas = document.getElementById('image')
                   const { width, height } = canvas
                   return [width, height, ...canvas.getContext('2d').getImageData(0, 0, width, height).data] }"""
    )
    rgba = np.array(pixels, np.uint8).reshape(height, width, 4)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


def by_codec(image) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(decode_to_file(image, ".png"))))


def assert_same_image(found: np.ndarray, expected: np.ndarray):
    """But for the last digits of floats, added in another order."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1 and (found != expected).mean() < 0.01


@pytest.fixture(scope="module")
def several():
    """Images of 101 x 83 pixels, of which the VAE saw 96 x 80; their metadata would harm a careless page."""
    y, x = np.mgrid[0:10, 0:12]
    latents = [np.stack([6 * np.sin(x / 3 + k + n) + 4 * np.cos(y / 2 - k) for k in range(4)]) for n in range(3)]
    metadata = {"prompt": HOSTILE, "seed": 2**64 - 1, HOSTILE: [HOSTILE], "workflow": {"nodes": []}}
    return [
        codec.encode([latent.astype(np.float32)], quality=60, width=101, height=83, metadata=metadata)[0]
        for latent in latents
    ]


def test_the_page_shows_a_file_in_its_true_size_and_saves_it(view, several):
    image = several[0]
    page = view(f"{HOSTILE[:9]} fox.sdc", image.data)
    pixels = shown(page)
    assert_same_image(pixels, by_codec(image))
    assert page.locator("#prompt").inner_text() == HOSTILE
    assert page.locator("tr", has_text="seed").inner_text() == f"seed\t{2**64 - 1}"
    about = page.locator("#about").inner_text()
    assert f"101 x 83 pixels, {image.num_bytes} bytes" in about and "SD1.x latent, learned codec, quality 60" in about
    assert "sender's own VAE gives a better one" in page.locator("#note").inner_text().replace("\n", " ")
    assert page.locator("img, b").count() == 0 and page.title() == f"{HOSTILE[:9]} fox.sdc - SDC viewer"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename.endswith("fox.png")
    np.testing.assert_array_equal(np.asarray(Image.open(download.value.path()).convert("RGB")), pixels)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save workflow").click()
    assert json.loads(Path(download.value.path()).read_bytes()) == {"nodes": []}
    if SCREENSHOTS:
        page.screenshot(path=SCREENSHOTS / "viewer.png")


def drop(page, name: str, data: bytes):
    page.evaluate(
        """([name, content]) => {
            const transfer = new DataTransfer()
            transfer.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name))
            document.body.dispatchEvent(
                new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })) }""",
        [name, base64.b64encode(data).decode()],
    )


def test_files_are_dropped_and_chosen_and_several_images_are_a_strip(view, several):
    page = view()
    page.get_by_text("Nothing is sent anywhere").wait_for()
    data = codec.join_images(several)
    drop(page, "cut.sdc", data[:-5])
    alert = page.get_by_role("alert")
    assert (
        alert.inner_text().startswith("cut.sdc: the file is incomplete")
        and "Download or copy it again" in alert.inner_text()
    )
    drop(page, "table.sdc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    page.get_by_text("StarOffice Calc document").wait_for()
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Open .sdc").click()
    chooser.value.set_files([{"name": "film.sdc", "mimeType": "", "buffer": data}])
    assert_same_image(shown(page), by_codec(several[0]))
    assert "3 images of 101 x 83" in page.locator("#about").inner_text() and not alert.is_visible()
    page.locator("#strip button").nth(2).click()
    page.locator("#strip button[aria-selected=true]", has_text="3").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('#strip canvas')].every(c => c.height > 1)")
    assert_same_image(shown(page), by_codec(several[2]))
    film = np.stack([codec.decode(image) for image in several], axis=1)
    (archive,) = codec.encode([film], "archive")
    drop(page, "archive.sdc", archive.data)
    page.locator("#about", has_text="latent of 3 frames (the first is shown), archive, error at most 0.").wait_for()
    assert_same_image(shown(page), tiny_vae.decode_latent(codec.decode(archive)[:, 0]))
    latent = np.concatenate([codec.decode(image) for image in (*several, several[0])])
    (other,) = codec.encode([latent], "archive", latent_format="Flux", metadata={"prompt": "a"})
    drop(page, "flux.sdc", other.data)
    page.get_by_text("holds a latent of Flux, and the small decoder of this page knows SD1.x alone").wait_for()
    gray, expected = shown(page)[4::8, 4::8, 0], thumbnail.by_main_component(codec.decode(other))[..., 0]
    assert abs(np.corrcoef(gray.ravel(), expected.ravel())[0, 1]) > 0.99  # of either sign
    assert page.locator("#prompt").inner_text() == "a" and not page.locator("#note").is_visible()
    if SCREENSHOTS:
        page.screenshot(path=SCREENSHOTS / "viewer_flux.png")
    (other,) = codec.encode([latent], quality=10, latent_format="Flux")
    drop(page, "learned.sdc", other.data)
    page.locator("#about", has_text="Flux latent, learned codec").wait_for()
    assert page.locator("#problem").is_visible() and not page.locator("#image").is_visible()


def test_tiles_and_threads_make_one_image(view):
    """A latent of more than a tile each way, cut where the image is smaller than what it decodes to."""
    for height, width in ((33, 3), (5, 66)):
        y, x = np.mgrid[0:height, 0:width]
        latent = np.stack([6 * np.sin(x / 5 + k) + 5 * np.cos(y / 3 - k) for k in range(4)]).astype(np.float32)
        (image,) = codec.encode([latent], "custom", width=8 * width - 3, height=8 * height - 5)
        page = view("tiles.sdc", image.data, "?threads=2")
        assert_same_image(shown(page), by_codec(image))
        assert "WebAssembly, 2 threads" in page.locator("#status").inner_text()


def test_webgpu_gives_what_webassembly_gives(chromium, tmp_path):
    """By Chromium's GPU in software. Each layer once: the page itself compares the two before it uses a GPU."""
    options = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
    launched = chromium.browser.browser_type.launch(executable_path=browser.find_or_install(), args=options)
    page = launched.new_page()
    page.set_default_timeout(300_000)
    (tmp_path / "blank.html").write_text("<!doctype html>", encoding="utf-8")
    page.goto((tmp_path / "blank.html").as_uri())  # WebGPU is for secure contexts, as files are
    page.add_script_tag(content=viewer.worker_script())
    name = """async packed => (await makeGpuDecoder(new Resources(packed).decoder(), true))?.constructor.name"""
    assert page.evaluate(name, viewer.packed()) == "WebGPU"
    launched.close()


def test_save_sdc_and_load_sdc_open_the_viewer(canvas_page, sdc_file, input_folder):
    """The artist's way."""
    page = canvas_page
    path = sdc_file("viewed.sdc", input_folder, prompt="a fox")
    load, save = page.add("SDCLoad", (100, 200), file="viewed.sdc"), page.add("SDCSave", (450, 200))
    page.connect(load, "SDC", save, "sdc")
    page.execute()
    page.status(save, "smaller than the raw pixels")
    for node, name in ((save, r"image_\d+_\.sdc"), (load, r"viewed\.sdc")):
        with page.page.context.expect_page() as opened:
            page.menu(node, "Open in viewer")
        popup = opened.value
        popup.set_default_timeout(180_000)
        assert_same_image(shown(popup), by_codec(codec.load(path.read_bytes())))
        assert re.fullmatch(name, popup.locator("#name").inner_text())
        assert popup.locator("#prompt").inner_text() == "a fox"
        if SCREENSHOTS and node == save:
            popup.screenshot(path=SCREENSHOTS / "open_in_viewer.png")
        popup.close()


def test_the_page_knows_every_latent_format_and_coder_by_name(blank):
    known = blank.evaluate("() => LATENT_FORMATS.map(({ name, channels, factor }) => [name, channels, factor])")
    formats = [[each.name, each.channels, each.spatial_factor] for each in codec.LATENT_FORMATS]
    assert known == formats
    coders = blank.evaluate("() => Object.entries(CODER_NAMES)")
    assert {int(number): name for number, name in coders} == container.CODER_NAMES


def test_the_snippet_for_galleries_reads_headers(blank):
    """The JavaScript of docs/format-for-tools.md."""
    (snippet,) = re.findall(
        r"```javascript\n(.*?)```", (ROOT / "docs/format-for-tools.md").read_text("utf-8"), re.DOTALL
    )
    read = f"content => {{ {snippet}\n return header(fromBase64(content).buffer) }}"
    for path in GOLDEN:
        data = path.read_bytes()
        said = blank.evaluate(read, base64.b64encode(data).decode())
        names = "latent_format", "channels", "latent_height", "latent_width", "width", "height", "images", "coder"
        assert said == dict(zip(names, struct.unpack("<2B4H2B", data[8:20]), strict=True))
    assert blank.evaluate(read, base64.b64encode(b"%PDF-1.7" + bytes(40)).decode()) is None
