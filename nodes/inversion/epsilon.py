"""What the sampler mathematics asks of a model: epsilon, at any noise level of a walk up or down."""

import torch


class EpsilonPredictor:
    """Asks a model for epsilon along a list of noise levels; each call shows on the progress bar and can be canceled.

    At level 0 the image is clean and a model cannot be asked (ComfyUI's models return the image itself there, and
    epsilon would be 0/0); nor, in float32, just above it, where core's FlipSigmas starts. Below the smallest sigma that
    the model knows it is asked at that one, with the input it would see at the true level.

    Parameters
    ----------
    sigmas, extra_args, callback :
        As a `comfy.samplers.Sampler` is given them.
    most_calls : int
        Length of the progress bar.
    """

    def __init__(self, model_wrap, sigmas: torch.Tensor, extra_args: dict, callback, most_calls: int):
        self.model_wrap, self.extra_args, self.callback, self.most_calls = model_wrap, extra_args, callback, most_calls
        self.calls = 0
        self.finite: torch.Tensor | bool = True
        self.model_sampling = model_wrap.inner_model.model_sampling
        self.levels, self.asked = sigmas, sigmas
        smallest = float(self.model_sampling.sigma_min)
        if sigmas[0] < smallest:
            self.asked = sigmas.clone()
            self.asked[0] = min(smallest, float(sigmas[1]))
            # Hooks look the current sigma up in this list, so it holds the level the model is really asked at.
            extra_args["model_options"]["transformer_options"]["sample_sigmas"] = self.asked

    def epsilon(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """epsilon(x, sigmas[level]) = (x - denoised) / sigma, (B, C, H, W)."""
        sigma = self.asked[level]
        if sigma != self.levels[level]:
            x = x * (self.input_scale(level) / input_scale(self.model_sampling, sigma))
        denoised = self.model_wrap(x, sigma.expand(x.shape[0]), **self.extra_args)
        if self.callback is not None:
            self.callback(self.calls, denoised, x, self.most_calls)
        self.calls += 1
        self.finite = denoised.isfinite().all() & self.finite  # asked at the end: reading it waits for the device
        return (x - denoised) / sigma

    def check_finite(self):
        """Raise ValueError where the model has given values that are not numbers."""
        if not self.finite:
            raise ValueError(
                "The model gave values that are not numbers. It may overflow in half precision: start ComfyUI with "
                "--force-fp32, or check that model and latent belong together."
            )

    def input_scale(self, level: int) -> float:
        return input_scale(self.model_sampling, self.levels[level])


def input_scale(model_sampling, sigma) -> float:
    """Factor between x and what the network sees at `sigma`: 1 / sqrt(1 + sigma^2) for SD1.x."""
    return model_sampling.calculate_input(sigma.cpu(), torch.ones(1, 1, 1, 1)).item()


def check_hooks(guider):
    """Keyframes of hooks only ever move on to lower noise, so on the way up the last one would hold throughout."""
    for conditioning in guider.conds.values():
        for entry in conditioning or ():
            for hook in getattr(entry.get("hooks"), "hooks", ()):
                if len(hook.hook_keyframe.keyframes) > 1:
                    raise ValueError(
                        "The conditioning carries hook keyframes (a LoRA or prompt that changes on the way), which "
                        "ComfyUI can only play from high noise to low. Invert with conditioning without keyframes; "
                        "regenerating with them is fine."
                    )
