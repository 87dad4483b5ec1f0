"""`run.py train` on three photographs, one step each: it runs from the photographs to files that the nodes can load."""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import load, load_file
from sdc_pack.codec import learned
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.codec.autoencoder.judge import CHANNELS, NETWORK
from sdc_pack.codec.learned.decoder import decode_payload
from sdc_pack.codec.learned.encoder import encode_to_quality
from sdc_pack.codec.learned.weights import FOLDER, name_of, parse_weights

from dev.train import coder, command, controlnet, data, encoder, loop, networks, perception, stored, unet, vae
from dev.train.coder import quantize
from dev.train.judge import Features

SHARED = Path(os.environ["SDC_SHARED"])


@pytest.fixture
def shared(tmp_path):
    """The teachers of the shared folder, and photographs of scikit-image: the first one is held out."""
    folder = tmp_path / "shared"
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "models").symlink_to(SHARED / "models", target_is_directory=True)
    for number, pixels in enumerate((skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee())):
        Image.fromarray(pixels).resize((264, 256)).save(folder / "images" / "train" / f"{number}.png")
    return folder


@pytest.fixture
def small(shared, monkeypatch):
    """Every training with the smallest photographs, crops and batches, and one thread, which waits for no other."""
    for path in (shared / "images" / "train").iterdir():
        Image.open(path).resize((72, 64)).save(path)
    for module, settings in {
        data: {"SMALLEST": 64},
        vae: {"CROP": 8, "BATCH": 2, "MEASURED": 1, "COLORS": (2, 8)},
        encoder: {"CROP": 8, "MEASURED": 1},
        unet: {"BATCH": 2, "CROP": 8, "MEASURED": 2},
        stored: {"SIDE": 64, "LARGEST": 64},
        controlnet: {"BATCH": 1, "CROP": 8, "WINDOW": 8, "MEASURED": 1},
        coder: {"CROP": 8, "PART": 8, "UNITS_FROM": 1, "QUALITIES": (0.5,)},
        coder.judge: {"QUALITIES": (0, 255), "COLORS": (16,)},
        quantize: {"MEASURED": (0, 255), "COUNTED": 1},
    }.items():
        for name, value in settings.items():
            monkeypatch.setattr(module, name, value)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(not (SHARED / "models" / "lpips").is_dir(), reason="no models/lpips under SDC_SHARED")
@pytest.mark.usefixtures("small")
def test_every_model_is_trained_from_photographs(shared, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setenv("SDC_HOME", str(tmp_path / "home"))
    settings = {"shared": shared}
    assert command.main(["vae", "encoder", "unet", "controlnet", "--steps", "1"], settings) == 0
    printed = capsys.readouterr().out
    assert re.search("3 photographs, SHA-256 [0-9a-f]{64}; on (cpu|cuda)", printed)
    assert printed.count("step 1/1  held out: ") == 4
    assert not (tmp_path / "weights").exists()  # not before it is asked for
    trained = tmp_path / "home" / "training" / "trained"
    written = {path.stem.removeprefix("sdc_tiny_"): load_file(path) for path in trained.iterdir()}
    assert written.keys() == {"vae_encoder", "vae_decoder", "unet", "canny"}
    network = networks.UNet()
    network.load_state_dict(written["unet"])
    assert all(torch.isfinite(value).all() for weights in written.values() for value in weights.values())
    assert command.main(["unet", "--steps", "1", "--install"], settings) == 0
    assert "going on from step 1 of 1" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["sdc_tiny_unet.safetensors"]
    # What was made with other photographs or settings is not gone on with.
    assert command.main(["unet", "--steps", "2"], settings) == 1
    assert "holds a run of another kind" in capsys.readouterr().err
    Image.new("RGB", (264, 256), "red").save(shared / "images" / "train" / "3.png")
    assert command.main(["unet", "--steps", "1"], settings) == 1
    assert "Delete it to begin anew" in capsys.readouterr().err


@pytest.mark.skipif(not (SHARED / "models" / "lpips").is_dir(), reason="no models/lpips under SDC_SHARED")
@pytest.mark.usefixtures("small")
def test_the_encoder_goes_back_half_of_its_way(shared, tmp_path, capsys):
    """And the same run, gone on with, gives the same."""
    state = tmp_path / "encoder.pt"
    (file, trained), *others = encoder.parts(encoder.train(shared, state, 1)).items()
    assert file == "sdc_tiny_vae_encoder.safetensors" and not others
    begun, average = tiny_vae.encoder().state_dict(), torch.load(state, weights_only=True)["average"]
    assert any(not torch.equal(value, begun[name]) for name, value in average.items())
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(value, (begun[name] + average[name]) / 2)
    again = encoder.train(shared, state, 1)
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in again.state_dict().items())
    assert capsys.readouterr().out.count("half-way held out: bytes ") == 2


@pytest.mark.skipif(not (SHARED / "models" / "lpips").is_dir(), reason="no models/lpips under SDC_SHARED")
@pytest.mark.usefixtures("small")
def test_the_learned_codec_is_trained_to_a_file_of_weights_that_codes(shared, tmp_path, monkeypatch, capsys):
    """Both stages, from the weights of another latent format."""
    small = {"latent_batch": 2, "pixel_batch": 1}
    monkeypatch.setitem(coder.FORMATS, "Flux", dataclasses.replace(coder.FORMATS["Flux"], **small))
    monkeypatch.setattr(command, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setenv("SDC_HOME", str(tmp_path / "home"))
    assert command.main(["coder", "--latent-format", "Flux", "--steps", "2", "--install"], {"shared": shared}) == 0
    assert "Flux: 1 photographs held out" in capsys.readouterr().out
    (written,) = (tmp_path / "weights" / "learned").iterdir()
    weights = parse_weights(written.read_bytes())
    assert written.stem == name_of(written.read_bytes()).hex() and weights.latent_format == "Flux"
    chosen, photograph = coder.FORMATS["Flux"], data.pixels(shared / "images" / "train" / "2.png")
    latent = chosen.to_latent(data.run(chosen.half(shared, "encoder"), photograph[None] / 255, loop.device())[0])
    payload = encode_to_quality(latent, 255, weights)
    decoded = decode_payload(payload, *latent.shape[1:], 255, weights)
    assert np.square(decoded - latent).mean() < 0.4 * latent.var()  # some of 16 channels no quality pays for
    assert weights.errors[-1] < weights.errors[0]


@pytest.mark.skipif(not (SHARED / "models" / "lpips").is_dir(), reason="no models/lpips under SDC_SHARED")
@pytest.mark.usefixtures("small")
def test_the_judge_says_what_lpips_does(shared, tmp_path, monkeypatch):
    """Its network is that of the package but for rounding, and channels that never differ weigh nothing."""
    monkeypatch.setattr(perception, "SIDE", 64)
    judge = perception.train(shared, tmp_path / "judge.pt", 2)
    features, pixels = Features(), torch.rand(1, 3, 64, 64, generator=torch.manual_seed(0))
    with torch.no_grad():
        x = own = pixels * 2 - 1
        for theirs, layer in zip([features.stem, *features.blocks], judge.network, strict=True):
            x, own = theirs(x), layer(own)
            assert (x - own).square().mean() < 5e-3 * x.square().mean()
    written = perception.parts(judge)
    assert set(written) == {NETWORK, CHANNELS}
    assert load(written[CHANNELS])["weights"].shape == judge.channels.shape

    differences = np.abs(np.random.default_rng(0).normal(size=(40, 6)))
    differences[:, 2] = 0
    wanted = np.array([1.0, 0.0, 0.0, 2.0, 0.0, 0.5])
    found = perception.fit(differences, differences @ wanted)
    assert found == pytest.approx(wanted, abs=0.05) and found.min() >= 0 and found[2] == 0


def test_a_file_of_weights_can_be_trained_on():
    """What a file of weights was made from comes back from it, and without coefficients that nothing uses too."""
    chosen = coder.FORMATS["SD1.x"]
    content = (FOLDER / f"{learned.NEWEST[chosen.name].hex()}.npz").read_bytes()
    network, own = coder.from_file(content, chosen).eval(), parse_weights(content)
    fewer = chosen.network().eval()
    fewer.take_over(network)
    z = torch.nn.functional.interpolate(torch.randn(1, 4, 6, 6, generator=torch.manual_seed(0)), scale_factor=4)
    payload = encode_to_quality(chosen.to_latent(z[0]), 140, own)
    decoded = chosen.from_latent(decode_payload(payload, 24, 24, 140, own))
    with torch.no_grad():
        for trained in (network, fewer):
            out, bits = trained(z, torch.tensor([140 / 256]), hard=True)
            assert bits.item() / 8 == pytest.approx(len(payload), rel=0.03)
            # Where a coefficient lies between two integers it may go to the other one.
            errors = [(found - z[0]).square().mean().item() for found in (out[0], decoded)]
            assert errors[0] == pytest.approx(errors[1], rel=0.1)


def test_training_without_photographs_says_what_is_missing(tmp_path, capsys):
    assert command.main(["vae"], {"shared": tmp_path, "cache": tmp_path}) == 1
    assert "SDC_SHARED" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["gan"], {"shared": tmp_path, "cache": tmp_path})
    assert (
        "no such model: gan; there are coder, dictionaries, vae, encoder, previews, judge, unet, controlnet"
        in capsys.readouterr().err
    )


@pytest.mark.skipif(not (SHARED / "models" / "vae_approx").is_dir(), reason="no models/vae_approx under SDC_SHARED")
def test_squares_are_what_a_file_gives_back_and_each_photograph_is_dealt_alike(shared, tmp_path):
    paths = sorted((shared / "images" / "train").iterdir())
    arguments = shared, paths, "taesd", "learned", tmp_path / "kept.safetensors", torch.device("cpu")
    squares = stored.squares(*arguments)
    assert len(squares) == 3
    for square in squares:
        assert square.clean.shape == square.latent.shape == (4, 32, 32) and square.pixels.shape == (3, 256, 256)
        error = (square.latent - square.clean).float().square().mean() / square.clean.float().square().mean()
        assert 0 < error < 0.2
        assert set(square.edges.unique().tolist()) == {0, 1} and square.edges.shape == (1, 256, 256)
    again = stored.squares(*arguments)  # from what was kept
    assert all(torch.equal(a.latent, b.latent) for a, b in zip(squares, again, strict=True))
    clean, latent, edges, pixels = stored.batch(squares, 5, 8, loop.generator(0, 0))
    assert clean.shape == latent.shape == (5, 4, 8, 8) and edges.shape == (5, 1, 64, 64)
    decoder = data.halves(shared, "taesd")[1]
    with torch.no_grad():  # crops of latents and of pixels are of one place
        assert (decoder(clean.float()) - pixels / 255).abs().mean() < 0.12


def test_every_coder_errs_in_its_own_way():
    latent = np.random.default_rng(0).normal(size=(4, 32, 32)).astype(np.float32) * 5
    errors = {coder: np.square(stored.store(latent, coder, 0) - latent).mean() for coder in stored.CODERS}
    assert len(set(errors.values())) == 3 and all(0 < error < np.square(latent).mean() for error in errors.values())


def test_what_is_held_out_is_not_trained_with(tmp_path):
    for folder in ("train/flowers", "train/popos", "kodak"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        for number in range(96):
            (tmp_path / "images" / folder / f"{number // 4}_{number % 4}.png").touch()
    chosen, held_out = data.photographs(tmp_path)
    assert 0 < len(held_out) < 24 and len(chosen) + len(held_out) == 192
    assert {path.parent.name for path in (*chosen, *held_out)} == {"flowers", "popos"}
    assert not {data.subject(path) for path in chosen} & {data.subject(path) for path in held_out}


def test_the_trainers_tiny_autoencoder_is_a_copy_of_the_codecs():
    encoder, decoder = data.halves(SHARED, "tiny")
    for own, copy in ((tiny_vae.encoder(), encoder), (tiny_vae.decoder(), decoder)):
        assert data.digest(own) == data.digest(copy)
        assert own.state_dict().keys() == copy.state_dict().keys()
        assert not {value.data_ptr() for value in own.parameters()} & {value.data_ptr() for value in copy.parameters()}


@pytest.mark.skipif(not (SHARED / "models" / "vae_approx").is_dir(), reason="no models/vae_approx under SDC_SHARED")
@torch.inference_mode()
def test_the_tiny_autoencoder_is_as_good_as_its_teacher():
    pixels = torch.from_numpy(skimage.data.astronaut()[:256, 100:356].copy()).permute(2, 0, 1)[None] / 255
    (encoder, decoder), (teacher, teachers_decoder) = (data.halves(SHARED, name) for name in ("tiny", "taesd"))
    latent, taught = encoder(pixels), teacher(pixels)
    assert (latent - taught).norm() / taught.norm() < 0.17

    def error(decoder, latent):
        return (decoder(latent).clamp(0, 1) - pixels).square().mean()

    assert error(decoder, taught) < 1.1 * error(teachers_decoder, taught)
    assert error(decoder, latent) < 1.1 * error(teachers_decoder, taught)


def test_latents_are_never_mirrored():
    """A mirrored latent is not that of the mirrored image: networks would learn to mend what no file holds."""
    side = torch.arange(32.0).expand(4, 32, 32)
    edges = torch.zeros(1, 256, 256, dtype=torch.uint8)
    pixels = torch.arange(256).to(torch.uint8).expand(3, 256, 256)
    squares = [stored.Square(side.half(), side.half(), edges, pixels)]
    generator = torch.Generator().manual_seed(0)
    crops = data.Crops([(side,)], 8)
    for _ in range(10):
        for part in (*stored.batch(squares, 2, 24, generator)[:2], *crops.batch(2, generator)):
            assert (part.diff(dim=-1) == 1).all()


@torch.no_grad()
def test_the_exact_pair_of_the_training_is_the_identity_without_a_controlnet():
    network = controlnet.shipped(networks.UNet(), "unet").eval()
    x = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    for steps, most in ((13, 2), (50, 5)):
        labels = controlnet.levels(steps)[:most]
        found = controlnet.up_and_down_exactly(network, x, labels, None)
        torch.testing.assert_close(found, x, rtol=0, atol=2e-3)
        by_ddim = controlnet.regenerate(network, controlnet.invert(network, x, labels), labels)
        assert (by_ddim - x).abs().max() > 0.1
