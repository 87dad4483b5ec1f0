"""Small random models of every family, of ComfyUI's own classes: what the mathematics must hold for.

Where random checkpoints (random_models.py) show that files load, these show that the sampling of a family works. They
are made on the spot, in memory. Import after ComfyUI is ready.
"""

import itertools
import json

import comfy.cldm.cldm
import comfy.controlnet
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import torch

GAIN, LAST_GAIN = 0.6, 0.1  # as in random_models.py: eps stays smooth in its input

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1],
    "channel_mult": [1],
    "transformer_depth": [1],
    "transformer_depth_output": [1, 1],
    "transformer_depth_middle": -2,
    "use_spatial_transformer": True,
    "legacy": False,
}
MMDIT = {
    "in_channels": 16,
    "depth": 2,
    "input_size": None,
    "adm_in_channels": 64,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 64, "out_features": 128}},
    "num_patches": 64,
    "pos_embed_max_size": 8,
    "qk_norm": "rms",
}
FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": 64,
    "context_in_dim": 64,
    "hidden_size": 96,
    "mlp_ratio": 2.0,
    "num_heads": 3,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [8, 12, 12],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}

FLUX2 = FLUX | {
    "image_model": "flux2",
    "in_channels": 128,
    "out_channels": 128,
    "patch_size": 1,
    "vec_in_dim": None,
    "hidden_size": 32,
    "num_heads": 1,
    "axes_dim": [8, 8, 8, 8],
    "mlp_ratio": 3.0,
    "theta": 2000,
    "qkv_bias": False,
    "txt_ids_dims": [3],
    "global_modulation": True,
    "mlp_silu_act": True,
    "ops_bias": False,
    "default_ref_method": "index",
    "ref_index_scale": 10.0,
}
Z_IMAGE = {
    "image_model": "lumina2",
    "patch_size": 2,
    "in_channels": 16,
    "dim": 256,
    "cap_feat_dim": 64,
    "n_layers": 1,
    "n_refiner_layers": 1,
    "qk_norm": True,
    "n_heads": 8,
    "n_kv_heads": 8,
    "axes_dims": [8, 12, 12],
    "axes_lens": [64, 64, 64],
    "rope_theta": 256.0,
    "ffn_dim_multiplier": 8 / 3,
    "z_image_modulation": True,
    "time_scale": 1000.0,
    "pad_tokens_multiple": 32,
}
QWEN_IMAGE = {
    "image_model": "qwen_image",
    "in_channels": 64,
    "num_layers": 2,
    "attention_head_dim": 32,
    "num_attention_heads": 3,
    "joint_attention_dim": 64,
    "axes_dims_rope": (8, 12, 12),
}
WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "patch_size": (1, 2, 2),
    "in_dim": 16,
    "out_dim": 16,
    "dim": 96,
    "ffn_dim": 128,
    "freq_dim": 64,
    "text_dim": 64,
    "num_heads": 3,
    "num_layers": 2,
}

LTXV_VAE = {
    "dims": 3,
    "latent_channels": 128,
    "encoder_blocks": [["res_x", {"num_layers": 1}], *[["compress_all", {}]] * 3],
    "decoder_blocks": [*[["compress_all", {}]] * 3, ["res_x", {"num_layers": 1}]],  # from the image on
    "encoder_base_channels": 16,
    "decoder_base_channels": 16,
    "norm_layer": "pixel_norm",
    "patch_size": 4,
    "latent_log_var": "uniform",
}

# Class of the family, its network in small, width of the prompt's encoding and of its pooled one.
FAMILIES = {
    "SD1.x": ("SD15", {**UNET, "context_dim": 64, "use_linear_in_transformer": False, "adm_in_channels": None}, 64, 0),
    "SD2.x v": ("SD20", {**UNET, "context_dim": 64, "use_linear_in_transformer": True, "adm_in_channels": None}, 64, 0),
    "SDXL": (
        "SDXL",
        {
            **UNET, "context_dim": 64, "use_linear_in_transformer": True,
            "num_classes": "sequential", "adm_in_channels": 64 + 6 * 256,
        },
        64,
        64,
    ),
    "SD3": ("SD3", MMDIT, 64, 64),
    "Flux": ("Flux", FLUX, 64, 64),
    "Z-Image": ("ZImage", Z_IMAGE, 64, 0),
    "Flux2": ("Flux2", FLUX2, 64, 0),
    "Qwen-Image": ("QwenImage", QWEN_IMAGE, 64, 0),
    "Wan": ("WAN21_T2V", WAN, 64, 0),
}  # fmt: skip


def build(family: str, seed: int = 1, dtype: torch.dtype = torch.float32, context: int | None = None):
    """MODEL, with weights and activations of `dtype`, and CONDITIONING of a family; see FAMILIES for the names.

    `context` is another width of the prompt's encoding than the small one, for the words of a real text encoder.
    """
    name, network, width, pooled = FAMILIES[family]
    if context:
        network, width = {**network, "context_dim": context}, context
    config = getattr(comfy.supported_models, name)({**network, "dtype": dtype})
    state = {}
    if family == "SD2.x v":  # by the spread of this norm does ComfyUI tell that a model predicts v
        state["output_blocks.11.1.transformer_blocks.0.norm1.bias"] = torch.tensor([-1.0, 1.0])
    random = torch.Generator().manual_seed(seed)
    device = comfy.model_management.get_torch_device()
    model = config.get_model(state, device="cpu")
    for key, parameter in itertools.chain(
        model.diffusion_model.named_parameters(), model.diffusion_model.named_buffers()
    ):
        parameter.copy_(values(key, parameter, random))
    patcher = comfy.model_patcher.ModelPatcher(model, device, torch.device("cpu"))
    words = torch.randn(1, 5, width, generator=random)
    return patcher, [[words, {"pooled_output": torch.randn(1, pooled, generator=random)} if pooled else {}]]


def build_control_net(context: int, seed: int = 2):
    """A ControlNet for the model of "SD1.x" with this width of the prompt's encoding."""
    _, network, *_ = FAMILIES["SD1.x"]
    config = comfy.supported_models.SD15({**network, "context_dim": context, "dtype": torch.float32}).unet_config
    made = comfy.cldm.cldm.ControlNet(**{**config, "hint_channels": 3, "device": "cpu"})
    random = torch.Generator().manual_seed(seed)
    for key, parameter in made.named_parameters():
        parameter.copy_(values(key, parameter, random))
    return comfy.controlnet.ControlNet(made, load_device=comfy.model_management.get_torch_device())


def build_vae(latent_format: str):
    """A small random VAE of ComfyUI's own classes: of "Wan21", "HunyuanVideo" or "LTXV"."""
    weights, metadata = vae_weights(latent_format)
    return comfy.sd.VAE(sd=weights, metadata=metadata)


def vae_weights(latent_format: str, seed: int = 1) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Its weights and their metadata, as a file has them. That of HunyuanVideo is a tiny one, like taehv."""
    metadata, dtype = {}, torch.float32
    if latent_format == "Wan21":
        network = comfy.ldm.wan.vae.WanVAE(
            dim=16, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True]
        )
    elif latent_format == "HunyuanVideo":
        network, dtype = comfy.taesd.taehv.TAEHV(16), torch.float16  # by which ComfyUI tells it from that of Wan21
    else:
        network = comfy.ldm.lightricks.vae.causal_video_autoencoder.VideoVAE(config=LTXV_VAE)
        metadata = {"config": json.dumps({"vae": LTXV_VAE})}
    random = torch.Generator().manual_seed(seed)
    weights = {key: values(key, tensor, random).to(dtype) for key, tensor in network.state_dict().items()}
    return weights, metadata


def values(key: str, like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Weights N(0, GAIN^2 / fan_in), zero biases, unit norms."""
    if like.ndim < 2 or not like.numel():
        return torch.zeros_like(like) if key.endswith("bias") else torch.ones_like(like)
    fan_in = like[0].numel()
    gain = LAST_GAIN if key == "out.2.weight" else GAIN
    return torch.randn(like.shape, generator=random) * (gain / fan_in**0.5)


def draw_latent(model, height: int = 8, width: int = 12, count: int = 1, seed: int = 7) -> dict:
    """A LATENT of the family's channels, of one frame if it has frames, with about unit variance in model space."""
    latent_format = model.get_model_object("latent_format")
    frames = (1,) if latent_format.latent_dimensions == 3 else ()
    shape = (count, latent_format.latent_channels, *frames, height, width)
    return {"samples": latent_format.process_out(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))}
