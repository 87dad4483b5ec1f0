"""Epsilon of a model at any noise level, for samplers that go up or down."""

import torch

from .one_function import refuse_caches, same_draws


class EpsilonPredictor:
    """Calls a model for epsilon along a list of noise levels.

    Every call draws the same random numbers, moves the progress bar and can be canceled.

    At level 0 epsilon would be 0/0, since ComfyUI's models return the clean image itself; and in float32 it is
    useless just above, where core's FlipSigmas starts. So below the model's smallest sigma the model is called at that
    one, with the input that it would get at the true level.

    Parameters
    ----------
    sigmas, extra_args, callback :
        As for `comfy.samplers.Sampler.sample`; sigmas (N + 1,), rising or falling.
    max_calls : int
        Length of the progress bar.

    Raises ValueError where a cache answers for the model.
    """

    def __init__(self, model_wrap, sigmas: torch.Tensor, extra_args: dict, callback, max_calls: int):
        self.model_wrap, self.extra_args, self.callback, self.max_calls = model_wrap, extra_args, callback, max_calls
        refuse_caches(extra_args["model_options"])
        self.calls = 0
        self.finite: torch.Tensor | bool = True
        self.model_sampling = model_wrap.inner_model.model_sampling
        self.levels, self.called = sigmas, sigmas
        smallest = float(self.model_sampling.sigma_min)
        if sigmas[0] < smallest:
            self.called = sigmas.clone()
            self.called[0] = min(smallest, float(sigmas[1]))
            # Hooks look up the current sigma in this list, so it holds the level at which the model is called.
            extra_args["model_options"]["transformer_options"]["sample_sigmas"] = self.called

    def epsilon(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """epsilon(x, sigmas[level]) = (x - denoised) / sigma, (B, C, [T,] H, W)."""
        sigma = self.called[level]
        if sigma != self.levels[level]:
            x = x * (self.input_scale(level) / input_scale(self.model_sampling, sigma))
        with same_draws(x.device):
            denoised = self.model_wrap(x, sigma.expand(x.shape[0]), **self.extra_args)
        if self.callback is not None:
            self.callback(self.calls, denoised, x, self.max_calls)
        self.calls += 1
        self.finite = (
            denoised.isfinite().all() & self.finite
        )  # read only at the end, since reading waits for the device
        return (x - denoised) / sigma

    def check_finite(self):
        """Raise ValueError where the model has given values that are not finite."""
        if not self.finite:
            raise ValueError(
                "The model returned NaN or infinity. It may overflow in half precision: start ComfyUI with "
                "--force-fp32, or check that model and latent fit together."
            )

    def input_scale(self, level: int) -> float:
        return input_scale(self.model_sampling, self.levels[level])


def input_scale(model_sampling, sigma) -> float:
    """Factor between x and what the network sees at `sigma`: 1 / sqrt(1 + sigma^2) for SD1.x."""
    return model_sampling.calculate_input(sigma.cpu(), torch.ones(1, 1, 1, 1)).item()


def check_hooks(guider):
    """Raise ValueError for hook keyframes: they only move on to lower noise, so only the last would be used."""
    for conditioning in guider.conds.values():
        for entry in conditioning or ():
            for hook in getattr(entry.get("hooks"), "hooks", ()):
                if len(hook.hook_keyframe.keyframes) > 1:
                    raise ValueError(
                        "The conditioning has hook keyframes (a LoRA or prompt that changes during sampling), which "
                        "ComfyUI only supports from high noise to low. Use conditioning without keyframes for the "
                        "inversion; they are fine for the regeneration."
                    )
