"""PyTorch's global state: the pieces that `global_state` looks after once PyTorch has been imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.overrides import _get_current_function_mode_stack
from torch.utils import _device as devices
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from symact.execute.piece import Piece, same_names

DEVICES = ("cpu", "cuda")
_HOOKS = [name for name in vars(module_hooks) if name.startswith("_global_") and name.endswith("_hooks")]
_CLASSES = [value for value in vars(nn).values() if isinstance(value, type) and issubclass(value, nn.Module)]
_NAMESPACES: list[Any] = [torch, nn, nn.functional, torch.optim, torch.Tensor, nn.Parameter, *_CLASSES]


def _attribute(owner: Any, name: str, title: str) -> Piece:
    return Piece(title, lambda: getattr(owner, name), lambda saved: setattr(owner, name, saved))


def _pair(title: str, read: Callable[[], Any], write: Callable[[Any], object]) -> Piece:
    return Piece(title, read, write)


def _read_deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


_ENTERED: list[Any] = []


def _write_inference_mode(saved: bool) -> None:
    """Enter a mode that is left no more: the one that the task entered cannot be left by anybody else."""
    mode = torch.inference_mode(saved)
    mode.__enter__()
    _ENTERED.append(mode)


def _keeps_denormals() -> bool:
    return bool((torch.full((1,), 1e-310, dtype=torch.float64, device="cpu") * 1.0 != 0).item())


def _read_autocast() -> tuple[Any, ...]:
    states = [(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in DEVICES]
    return (*states, torch.is_autocast_cache_enabled())


def _write_autocast(saved: tuple[Any, ...]) -> None:
    for device, (enabled, dtype) in zip(DEVICES, saved[:-1], strict=True):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)
    torch.set_autocast_cache_enabled(saved[-1])


def _read_hooks() -> dict[str, list[Any]]:
    return {name: list(getattr(module_hooks, name).items()) for name in _HOOKS}


def _write_hooks(saved: dict[str, list[Any]]) -> None:
    for name, items in saved.items():
        hooks = getattr(module_hooks, name)
        hooks.clear()
        hooks.update(items)


def _read_function_modes() -> tuple[list[Any], Any, Any]:
    """The stack of modes, at whose bottom the default device stands, and what PyTorch remembers of that."""
    default = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return list(_get_current_function_mode_stack()), default, devices.CURRENT_DEVICE


def _write_function_modes(saved: tuple[list[Any], Any, Any]) -> None:
    while _get_current_function_mode_stack():
        torch._C._pop_torch_function_stack()
    for mode in saved[0]:
        torch._C._push_on_torch_function_stack(mode)
    torch._GLOBAL_DEVICE_CONTEXT.device_context = saved[1]
    devices.CURRENT_DEVICE = saved[2]


def _write_dispatch_modes(saved: list[Any]) -> None:
    while len(_get_current_dispatch_mode_stack()) > len(saved):
        _get_current_dispatch_mode_stack()[-1].__exit__(None, None, None)


def _read_names() -> list[dict[str, Any]]:
    return [dict(vars(space)) for space in _NAMESPACES]


def _write_names(saved: list[dict[str, Any]]) -> None:
    for space, names in zip(_NAMESPACES, saved, strict=True):
        now = vars(space)
        for name, value in names.items():
            if now.get(name, _read_names) is not value:
                setattr(space, name, value)
        for name in _hiding(space, names, dict(now)):
            delattr(space, name)


def _hiding(space: Any, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """New names of a class that hide what it has inherited."""
    new = after.keys() - before.keys()
    bases = space.__mro__[1:] if new and isinstance(space, type) else ()
    return [name for name in new if any(name in vars(base) for base in bases)]


def _same_spaces(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> bool:
    triples = list(zip(_NAMESPACES, before, after, strict=True))
    return all(same_names(old, new) and not _hiding(space, old, new) for space, old, new in triples)


def _enabled_back_ends() -> frozenset[str]:
    select = sys.modules.get("symact.backends.select")
    return frozenset(getattr(select, "_enabled", ()))


def _enable_back_ends(saved: frozenset[str]) -> None:
    sys.modules["symact.backends.select"]._change(set(saved))


def _cuda_device() -> int | None:
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None


def _write_cuda_device(saved: int | None) -> None:
    torch.cuda.set_device(0 if saved is None else saved)


def _read_print_options() -> dict[str, Any]:
    return dict(vars(torch._tensor_str.PRINT_OPTS))


PIECES = (
    Piece("random numbers of PyTorch", torch.get_rng_state, torch.set_rng_state, torch.equal),
    Piece("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Piece("the default device, and torch function modes", _read_function_modes, _write_function_modes),
    Piece("torch dispatch modes", lambda: list(_get_current_dispatch_mode_stack()), _write_dispatch_modes),
    Piece("PyTorch's threads", torch.get_num_threads, torch.set_num_threads),
    Piece("inference mode", torch.is_inference_mode_enabled, _write_inference_mode),
    Piece("grad mode", torch.is_grad_enabled, torch._C._set_grad_enabled),
    Piece(
        "anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda saved: torch.autograd.set_detect_anomaly(*saved),
    ),
    Piece(
        "deterministic algorithms",
        _read_deterministic,
        lambda saved: torch.use_deterministic_algorithms(saved[0], warn_only=saved[1]),
    ),
    Piece("warnings of PyTorch", torch.is_warn_always_enabled, torch.set_warn_always),
    Piece("float32 matrix products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Piece("denormal numbers", _keeps_denormals, lambda saved: torch.set_flush_denormal(not saved)),
    Piece("autocast", _read_autocast, _write_autocast),
    Piece("hooks of all modules", _read_hooks, _write_hooks),
    Piece("names of torch", _read_names, _write_names, _same_spaces),
    Piece("printing of tensors", _read_print_options, lambda saved: vars(torch._tensor_str.PRINT_OPTS).update(saved)),
    Piece("the CUDA device", _cuda_device, _write_cuda_device, lambda before, after: (before or 0) == (after or 0)),
    Piece(
        "back ends of symact",
        _enabled_back_ends,
        _enable_back_ends,
        lambda before, after: not before or before == after,
    ),
    Piece(
        "threads of the backward pass",
        torch.autograd.is_multithreading_enabled if hasattr(torch.autograd, "is_multithreading_enabled") else bool,
        torch._C._set_multithreading_enabled,
    ),
    _attribute(torch.utils.deterministic, "fill_uninitialized_memory", "filling of new memory"),
    _attribute(torch.backends.cudnn, "enabled", "cuDNN"),
    _attribute(torch.backends.cudnn, "benchmark", "cuDNN's choice by time"),
    _attribute(torch.backends.cudnn, "deterministic", "cuDNN's determinism"),
    _attribute(torch.backends.cudnn, "allow_tf32", "TF32 in cuDNN"),
    _attribute(torch.backends.cuda.matmul, "allow_tf32", "TF32 in matrix products"),
    _attribute(torch.backends.mkldnn, "enabled", "oneDNN"),
    _attribute(torch.backends.quantized, "engine", "the engine of quantized operations"),
)
