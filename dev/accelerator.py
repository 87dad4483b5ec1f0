"""Which graphics card torch computes on."""

import torch


def kind() -> str | None:
    """torch's word for it: "cuda" (NVIDIA, and AMD by ROCm), "xpu" (Intel) or "mps" (Apple); None for the processor."""
    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else None
