"""Both passes where the device has no float64, and with models and latents in half precision."""

import pytest
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from sdc_pack.nodes.ddim_invert import DDIM, EXACT_PAIR, SDCDDIMInvert
from sdc_pack.nodes.exact_sampler import SDCExactSampler
from sdc_pack.nodes.inversion_sampler import SDCInversionSampler
from sdc_pack.nodes.inversion_sigmas import SDCInversionSigmas
from sdc_pack.nodes.inverted_noise import SDCInvertedNoise
from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny

from dev import denoisers, families

from .sampling import basic, distance, restore


@pytest.fixture
def model(small):
    return small.clone()


@pytest.fixture
def control_net(small_control_net):
    return small_control_net


class DeviceTensor(torch.Tensor):
    """A tensor on a device that has no float64, as Apple's MPS and DirectML have none.

    Whatever is computed from it is there as well, until it is moved to the CPU in the type that it has.
    """

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = super().__torch_function__(func, types, args, kwargs)
        if isinstance(result, DeviceTensor) and result.dtype == torch.float64:
            raise TypeError(f"Cannot convert a device tensor to float64, which it does not support ({func}).")
        moved = func is torch.Tensor.cpu or (
            func is torch.Tensor.to and any(str(value) == "cpu" for value in (*args[1:], *kwargs.values()))
        )
        return result.as_subclass(torch.Tensor) if moved else result


def on_device(model):
    """The model, with all that its network gives on such a device."""

    def wrapper(apply_model, options):
        return apply_model(options["input"], options["timestep"], **options["c"]).as_subclass(DeviceTensor)

    model.set_model_unet_function_wrapper(wrapper)
    return model


def test_the_device_refuses_float64():
    x = torch.ones(2).as_subclass(DeviceTensor)
    assert type(x * 2) is DeviceTensor and type(x.cpu()) is torch.Tensor
    for convert in (lambda: x.double(), lambda: x.double().cpu(), lambda: x.to("cpu", torch.float64)):
        with pytest.raises(TypeError, match="float64"):
            convert()


@pytest.mark.parametrize(("refine", "method"), [(0, DDIM), (2, DDIM), (0, EXACT_PAIR)])
def test_both_passes_without_float64(model, prompt, latent, control_net, refine, method):
    words, image = prompt("a fox"), torch.rand(2, 64, 96, 3)
    settings = {"steps": 5, "cfg": 1.0, "strength": 1.0, "refine": refine, "method": method}

    def trip(model):
        noise, sigmas, inverted = SDCDDIMInvert.execute(model, words, latent, **settings).result
        regenerate = {"canny_strength": 0.3, "low_threshold": 100, "high_threshold": 200, "cfg": 1.0}
        regenerate |= {"start_percent": 0.0, "end_percent": 1.0}
        clone = SDCRegenerateCanny.PREPARE_CLASS_CLONE({})
        return clone.execute(
            model, words, image, inverted, noise, sigmas, control_net=control_net, **regenerate
        ).result[0]["samples"]

    expected = trip(model)
    found = trip(on_device(model.clone()))
    torch.testing.assert_close(found.as_subclass(torch.Tensor), expected)


def test_the_parts_without_float64(model, prompt, latent):
    model = on_device(model)
    rising, falling = SDCInversionSigmas.execute(model, "ddim_uniform", 4, 1.0).result
    guider = basic(model, prompt(""))
    (sampler,) = SDCInversionSampler.execute(2).result
    exact, *_ = SDCDDIMInvert.execute(model, prompt(""), latent, 4, 1.0, 1.0, method=EXACT_PAIR).result
    no_noise = SDCExactSampler.execute(exact).result[1]
    inverted = SamplerCustomAdvanced.execute(no_noise, guider, sampler, rising, latent).result[0]
    (noise,) = SDCInvertedNoise.execute(model, inverted, falling).result
    assert distance(restore(guider, noise, falling, latent), latent["samples"]) < 0.1


def round_trip(model, words, latent, method, refine) -> float:
    """Relative L2 between a latent and what comes back of it."""
    noise, sigmas, inverted = SDCDDIMInvert.execute(
        model, words, latent, 10, 1.0, 1.0, method=method, refine=refine
    ).result
    if method == EXACT_PAIR:
        sampler, noise = SDCExactSampler.execute(noise).result
        restored = SamplerCustomAdvanced.execute(noise, basic(model, words), sampler, sigmas, inverted)
        back = restored.result[0]["samples"]
    else:
        back = restore(basic(model, words), noise, sigmas, inverted)
    return distance(back.float(), latent["samples"].float())


def trip_in(dtype, method, refine) -> float:
    """There and back with weights, activations and latent in one number type."""
    model, words = families.build("SD1.x", dtype=dtype)
    latent = families.draw_latent(model, 8, 8)
    latent["samples"] = latent["samples"].to(dtype)
    return round_trip(model, words, latent, method, refine)


@pytest.mark.parametrize(("method", "refine"), [(DDIM, 0), (DDIM, 4), (EXACT_PAIR, 0)])
def test_half_precision_comes_back_nearly_as_well(method, refine):
    """The drift of Eq. (1) is that of float32, and the rest is rounding."""
    full = trip_in(torch.float32, method, refine)
    for dtype in (torch.bfloat16, torch.float16):
        half = trip_in(dtype, method, refine)
        print(method, refine, full, dtype, half)
        assert half < 1.1 * full + 8 * torch.finfo(dtype).eps


def test_the_exact_denoiser_of_benches_without_float64(model):
    draw = denoisers.use_patch_mixture(model)
    wrapper = model.model_options["model_function_wrapper"]
    x, sigma = draw(2, 4, 6), torch.tensor([1.5, 0.2])
    expected = wrapper(None, {"input": x, "timestep": sigma})
    found = wrapper(None, {"input": x.as_subclass(DeviceTensor), "timestep": sigma.as_subclass(DeviceTensor)})
    assert torch.equal(found, expected)
