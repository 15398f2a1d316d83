"""The counts of this folder's README: FPBench's and Herbie's expressions, and PyTorch's OpInfo samples.

python -m runs.others_tests.measure          # OpInfo needs the package expecttest
"""

from __future__ import annotations

import torch

from tests.others import fpcore, opinfo


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


if __name__ == "__main__":
    expressions()
    samples()
