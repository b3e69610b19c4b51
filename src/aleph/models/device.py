"""Which device and which arithmetic the networks use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aleph.config import Precision

if TYPE_CHECKING:
    import torch


def choose_device(device: str = "auto") -> torch.device:
    """Return the device that a user names.

    Raises:
        InputError: if the name is unknown or the device is not there.
    """
    import torch

    from aleph.errors import InputError

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(1, device=place).item()  # refuses "meta", whose tensors have no values
    except (RuntimeError, AssertionError):
        raise InputError(f"device '{device}' cannot be used here: try 'cpu' or 'auto'") from None
    return place


def choose_precision(device: torch.device) -> Precision:
    """Return `bf16` if the device has instructions for it, else `fp32`."""
    import torch

    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type != "cpu":
        return "fp32"
    # Names of torch's own, subject to change: without them, fp32.
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    found = any(getattr(torch.cpu, test, bool)() for test in tests)
    return "bf16" if found else "fp32"
