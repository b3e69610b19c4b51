"""Optional measures by downloaded networks: LPIPS of a fill, FID of a set of fills.

Nothing here is needed, and nothing is imported or downloaded unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from aleph.arrays import Pixels
from aleph.errors import AlephError, MissingDependencyError
from aleph.photo.tensors import to_tensor


def check_extras(metrics: Iterable[str]) -> None:
    """Refuse measures that cannot be taken here, before any time is spent.

    Raises:
        MissingDependencyError: if a package is not installed or does not work.
        AlephError: if LPIPS's weights are not there and cannot be downloaded.
    """
    for metric in metrics:
        _CHECKS[metric]()


def _import(package: str, name: str, metric: str) -> Any:  # noqa: ANN401 - an untyped package
    try:
        return __import__(name)
    # A torchvision that does not fit torch fails with RuntimeError or OSError when imported.
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingDependencyError(
            f"the metric '{metric}' needs the package {package} ({error}): install it with "
            f"`pip install {package}`; it downloads the weights of a network when first used, so "
            "a network connection is needed once"
        ) from None


def _check_fid() -> None:
    _import("torch-fidelity", "torch_fidelity", "fid")


@lru_cache(maxsize=1)
def _lpips_network() -> Callable[..., Any]:
    lpips = _import("lpips", "lpips", "lpips")
    try:
        network: Callable[..., Any] = lpips.LPIPS(net="alex", verbose=False).eval()
    except (OSError, RuntimeError) as error:
        raise AlephError(
            "the metric 'lpips' cannot load the weights of its network; they are downloaded when "
            f"first used, so connect to a network or leave the metric out ({error})"
        ) from None
    return network


def lpips_distance(original: Pixels, filled: Pixels) -> float:
    """Return the learned perceptual distance LPIPS (Zhang et al. 2018, arXiv 1801.03924).

    AlexNet's features, version 0.1, of the whole image.

    Args:
        original: uint8 (H, W, 3).
        filled: uint8 (H, W, 3).

    Returns:
        From 0 (equal) up.

    Raises:
        MissingDependencyError: if the package lpips is not installed.
        AlephError: if its weights cannot be loaded.
    """
    import torch

    with torch.inference_mode():
        return float(_lpips_network()(to_tensor(original[None]), to_tensor(filled[None])))


def frechet_inception_distance(originals: Path, fills: Path, device: str = "cpu") -> float:
    """Return the Fréchet Inception Distance (Heusel et al. 2017, arXiv 1706.08500).

    Computed by torch-fidelity of the whole images, known pixels included. Only values of the same
    images and masks can be compared, and below some thousands of images it is biased upwards.

    Args:
        originals: Folder of pictures.
        fills: Folder of as many pictures.
        device: `cuda…` computes on the GPU, anything else on the CPU.

    Raises:
        MissingDependencyError: if the package torch-fidelity is not installed.
        AlephError: if its weights cannot be loaded.
    """
    fidelity = _import("torch-fidelity", "torch_fidelity", "fid")
    try:
        found = fidelity.calculate_metrics(
            input1=str(fills),
            input2=str(originals),
            fid=True,
            cuda=device.startswith("cuda"),
            verbose=False,
        )
    except (OSError, RuntimeError) as error:
        raise AlephError(
            "the metric 'fid' cannot be computed; its network's weights are downloaded when first "
            f"used, so connect to a network or leave the metric out ({error})"
        ) from None
    return float(found["frechet_inception_distance"])


_CHECKS: dict[str, Callable[[], Any]] = {"lpips": _lpips_network, "fid": _check_fid}
