"""Pixels to latents and back without ComfyUI. Needs torch and safetensors; the format itself never imports it."""
