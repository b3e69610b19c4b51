"""A device that is not there: CPU tensors that behave as if some of them lay on an accelerator.

Inside `Elsewhere`, `ELSEWHERE` is a device of its own. What is made with `device=ELSEWHERE` or
moved there lies there, and so does what is computed from it; everything else lies on the host. As
on a real accelerator, an operation that gets tensors from both places fails, numbers (tensors
without dimensions) on the host excepted; so does reading a tensor there as a NumPy array, and
float64, which Apple's MPS lacks. The numbers are those of the CPU, so that whole training steps and
searches run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

HOST, ELSEWHERE = torch.device("cpu"), torch.device("cpu", 0)

_CROSSES = {"copy_", "__set__", "_has_compatible_shallow_copy_type"}
"""What may be given tensors from both places: copies, assignments of `data` and `grad`."""

_READS = {"numpy", "__array__"}
"""What needs a tensor on the host."""


class WrongDeviceError(RuntimeError):
    """An operation on tensors of two devices, or one that the host alone can do."""


class GeneratorElsewhere(torch.Generator):
    """A source of random numbers on the device that is not there."""

    device = ELSEWHERE


def make_generator(device: torch.device = HOST) -> torch.Generator:
    """Stand in for `torch.Generator`."""
    return GeneratorElsewhere() if device.index == 0 else _Generator()


_Generator = torch.Generator


def lies_elsewhere(tensor: Tensor) -> bool:
    """Whether a tensor lies on the device that is not there; its views lie where it does."""
    return getattr(tensor.untyped_storage(), "elsewhere", False)


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _mark(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if tensor.dtype == torch.float64:
            raise WrongDeviceError("float64, which not every accelerator has (MPS)")
        tensor.untyped_storage().elsewhere = True  # type: ignore[attr-defined]


class Elsewhere(TorchFunctionMode):
    """The context in which `ELSEWHERE` is a device of its own."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func == Tensor.device.__get__:
            return ELSEWHERE if lies_elsewhere(args[0]) else HOST
        if name in ("to", "cpu"):
            return self._moved(func, args, kwargs)
        given = _tensors((args, kwargs))
        there = [tensor for tensor in given if lies_elsewhere(tensor)]
        here = [tensor for tensor in given if not lies_elsewhere(tensor) and tensor.dim() > 0]
        if there and name in _READS:
            raise WrongDeviceError(f"{name}: the tensor is not on the host")
        if there and here and name not in _CROSSES:
            raise WrongDeviceError(
                f"{name}: tensors of shapes {[tuple(t.shape) for t in here]} are on the host"
            )
        result = func(*args, **kwargs)
        device = kwargs.get("device")
        made_there = isinstance(device, torch.device) and device.index == 0
        random = kwargs.get("generator")
        if random is not None and isinstance(random, GeneratorElsewhere) != made_there:
            raise WrongDeviceError(f"{name}: the generator is of another device")
        if (there or made_there) and name not in _CROSSES:
            _mark(_tensors(result))
        return result

    def _moved(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        """Move a tensor, by a copy as between real devices."""
        tensor, *rest = args
        place = kwargs.get("device", next((a for a in rest if isinstance(a, torch.device)), None))
        if func.__name__ == "cpu":
            place = HOST
        other = next((a for a in rest if isinstance(a, Tensor)), kwargs.get("other"))
        was = lies_elsewhere(tensor)
        if other is not None:
            goes = lies_elsewhere(other)
        elif isinstance(place, str):
            goes = place == "cpu:0"
        else:
            goes = was if place is None else place.index == 0
        result: Tensor = func(*args, **kwargs)
        if (
            goes != was
            and result.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
        ):
            result = result.clone()
        if goes:
            _mark([result])
        return result
