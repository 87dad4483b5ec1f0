"""Which kind of GPU torch uses."""

import torch


def kind() -> str | None:
    """torch's word for it: "cuda" (NVIDIA, and AMD by ROCm), "xpu" (Intel) or "mps" (Apple); None for the CPU."""
    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else None
