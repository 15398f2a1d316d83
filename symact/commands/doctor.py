"""`symact doctor`: is this machine in order, and how fast."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import time
import warnings
from typing import Any

import torch

from symact import __version__
from symact.activation import examination
from symact.backends.cpu import building, library
from symact.errors import InputError, SymactError
from symact.report import console

# Elements of the tensors that are timed, and seconds in which functions are given to `torch.compile`.
_SIZES, _COMPILING = {"cpu": 2**18, "cuda": 2**24}, {"cpu": 20.0, "cuda": 45.0}
_PACKAGES = ("torch", "triton", "numpy", "sympy", "mpmath", "scikit-learn", "ray", "onnx")


def examine(device: str | None, size: int | None, dtype: str, as_json: bool) -> None:
    """Print the machine, what is wrong on its devices, and how fast they are.

    Args:
        device: `cpu` or `cuda`; by default all that are there.
        size: elements of the tensors that are timed.
        dtype: theirs: float32, bfloat16 or float16.
        as_json: print one JSON document.

    Raises:
        InputError: the device is not there, or the dtype is none of these.
        SymactError: something is wrong.
    """
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if device is not None and device not in devices:
        raise InputError(f"--device {device!r} is not there; here are: {', '.join(devices)}")
    if dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"--dtype is float32, bfloat16 or float16, not {dtype!r}")
    start, machine, wrong = time.monotonic(), _machine(), []
    for warning in machine.pop("warnings"):
        wrong.append(f"the native library: {warning}")
    if "cuda" in devices and not machine["packages"].get("triton"):
        wrong.append("there is a GPU and no Triton: install triton, or functions run as plain torch operations there")
    found: dict[str, Any] = {}
    for each in [device] if device else devices:
        with console.bar(f"functions on {each}") as shown:
            faults: list[examination.Fault] = []
            texts = examination.expressions()
            for number, text in enumerate(texts, 1):
                faults += examination.faults(each, [text])
                shown(number, len(texts), "")
        speeds = examination.speeds(each, size or _SIZES[each], getattr(torch, dtype), _COMPILING[each])
        found[each] = {
            "functions": len(texts),
            "faults": [dataclasses.asdict(fault) for fault in faults],
            "elements": size or _SIZES[each],
            "dtype": dtype,
            "speeds": [dataclasses.asdict(speed) for speed in speeds],
        }
        wrong += [f"{f.expression} on {each} in {f.dtype}: {_words(f)}" for f in faults]
    seconds = round(time.monotonic() - start, 1)
    if as_json:
        console.document({"machine": machine, "devices": found, "wrong": wrong, "seconds": seconds})
    else:
        _show(machine, found, seconds)
    if wrong:
        raise SymactError("; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""))


def _words(fault: examination.Fault) -> str:
    if fault.what in ("value", "slope"):
        return f"the {fault.what} at {fault.at!r} is {fault.found!r}, not {fault.wanted!r}"
    return fault.what


def _machine() -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        library.load.cache_clear()
        isa = library.isa()
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            packages[name] = None
    try:
        compiler: str | None = " ".join(building.compiler())
    except SymactError as error:
        compiler = str(error)
    return {
        "symact": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": packages,
        "compiler": compiler,
        "instruction_set": isa,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "warnings": [str(warning.message).partition("\n")[0] for warning in caught],
    }


def _show(machine: dict[str, Any], found: dict[str, Any], seconds: float) -> None:
    packages = {name: version for name, version in machine["packages"].items() if version}
    gpus = ", ".join(machine["gpus"]) or "none"
    console.facts({**machine, "packages": packages, "gpus": gpus}, "machine")
    for device, rows in found.items():
        faults = rows["faults"]
        console.say("")
        console.say(f"{device}: {rows['functions']} functions in 4 dtypes, values and slopes: {len(faults)} wrong")
        console.say(f"forward and backward on {rows['elements']:,} elements of {rows['dtype']}:")
        console.listing(
            [
                (
                    row["expression"],
                    f"{row['nanoseconds']:.3f}",
                    f"{100 * row['of_copy']:.0f} %",
                    f"{row['of_eager']:.2f}",
                    "" if row["of_compile"] is None else f"{row['of_compile']:.2f}",
                )
                for row in rows["speeds"]
            ],
            ("function", "ns per element", "of copy bandwidth", "time / PyTorch's own", "time / torch.compile"),
        )
    console.note(f"{seconds} s")
