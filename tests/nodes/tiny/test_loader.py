"""Load SDC Tiny Models: the models of the installed files, without any file."""

import folder_paths
import nodes
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.load_tiny_models import SDCLoadTinyModels
from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny
from sdc_pack.nodes.tiny import install, loading

from benchmarks.harness.comfy import call


@pytest.fixture(scope="module")
def in_memory():
    with torch.inference_mode():
        return SDCLoadTinyModels.execute().result


@pytest.fixture(scope="module")
def installed():
    with torch.inference_mode():
        loaded = nodes.CheckpointLoaderSimple().load_checkpoint(install.NAMES["checkpoint"])[:3]
        return (*loaded, nodes.ControlNetLoader().load_controlnet(install.NAMES["controlnet"])[0])


def regenerate(models, pixels) -> tuple[torch.Tensor, torch.Tensor]:
    """(latent, image) after the whole way: encoded, inverted, painted again under the edges and decoded."""
    model, clip, vae, control_net = models
    image = torch.from_numpy(pixels / np.float32(255))[None]
    words = nodes.CLIPTextEncode().encode(clip, "a woman in orange")[0]
    latent = nodes.VAEEncode().encode(vae, image)[0]
    noise, sigmas, inverted = call(SDCDDIMInvert, model=model, positive=words, latent=latent, steps=5)[:3]
    painted = call(
        SDCRegenerateCanny, model=model, positive=words, control_net=control_net, image=image, latent=inverted,
        noise=noise, sigmas=sigmas, canny_strength=1.0,
    )[0]  # fmt: skip
    return painted["samples"], nodes.VAEDecode().decode(vae, painted)[0]


def test_images_are_those_of_the_installed_files(in_memory, installed):
    small = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((128, 96), Image.Resampling.LANCZOS))
    (ours, our_image), (theirs, their_image) = (regenerate(models, small) for models in (in_memory, installed))
    assert our_image.std() > 0.05
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    torch.testing.assert_close(our_image, their_image, rtol=0, atol=1e-5)


def test_nothing_is_written_anywhere(comfyui_folders, monkeypatch):
    written = []
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda *_: written.append(1))
    monkeypatch.setattr(torch, "save", lambda *_args, **_kwargs: written.append(1))
    before = {kind: folder_paths.get_filename_list(kind) for kind in ("checkpoints", "controlnet", "vae")}
    SDCLoadTinyModels.execute()
    assert not written and not [path for path in comfyui_folders.rglob("*") if path.is_file()]
    assert before == {kind: folder_paths.get_filename_list(kind) for kind in before}


def test_comfyui_manages_them_and_can_make_a_second_copy(in_memory):
    model, clip, vae, control_net = in_memory
    patchers = (model, loading.model_patcher), (clip.patcher, loading.clip_patcher), (vae.patcher, loading.vae_patcher)
    for patcher, maker in patchers:
        assert patcher.cached_patcher_init == (maker, ())
        copy = maker(disable_dynamic=True)
        assert type(copy.model) is type(patcher.model) and copy.model is not patcher.model
        assert copy.model_size() == patcher.model_size() > 0
        copied, own = (each.model.state_dict() for each in (copy, patcher))
        assert copied.keys() == own.keys()
        for name in own:  # but the projection that no checkpoint of SD 1.x holds and that no node asks for
            assert "text_projection" in name or torch.equal(copied[name].cpu(), own[name].cpu()), name
    assert control_net.get_models()[0].model_size() > 0
