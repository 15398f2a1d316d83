"""The counts of this folder's README: FPBench's and Herbie's expressions, PyTorch's OpInfo samples
and its ModuleInfo inputs.

python -m runs.others_tests.measure          # OpInfo and ModuleInfo need the package expecttest
"""

from __future__ import annotations

import torch

from tests.others import fpcore, moduleinfo, opinfo


def expressions() -> None:
    """Values and slopes of both suites."""
    for variables, dtype in ((1, torch.float32), (1, torch.float64), (2, torch.float32)):
        counts = [count for _, count in fpcore.run(variables, dtype)]
        numbers = (
            sum(count.values for count in counts),
            sum(len(count.wrong_values) for count in counts),
            sum(count.slopes for count in counts),
            sum(len(count.wrong_slopes) for count in counts),
        )
        print(variables, dtype, *numbers, flush=True)


def samples() -> None:
    """Samples of all operators."""
    from torch.testing._internal.common_methods_invocations import op_db

    for dtype in opinfo.DTYPES:
        counts = [
            opinfo.measure(each, dtype) for each in op_db if each.name in opinfo.FORMULAS and dtype in each.dtypes
        ]
        failing = [sum(len(count.failing[order]) for count in counts) for order in opinfo.ORDERS]
        print(dtype, sum(count.samples for count in counts), sum(count.elements for count in counts), *failing)


def modules() -> None:
    """Passes of all activation modules."""
    from torch.testing._internal.common_modules import module_db

    infos = [each for each in module_db if each.module_cls in {*moduleinfo.MODULES, torch.nn.PReLU}]
    for dtype in opinfo.DTYPES:
        counts = [moduleinfo.measure(each, dtype, training) for each in infos for training in (True, False)]
        print(len(infos), dtype, sum(count.passes for count in counts), sum(len(count.failing) for count in counts))


if __name__ == "__main__":
    expressions()
    samples()
    modules()
