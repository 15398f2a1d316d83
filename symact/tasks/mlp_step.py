"""Loss and gradient of a network: by autograd for any module, by hand for a chain of linear layers.

On small networks most of a training step is autograd's bookkeeping. For an `nn.Sequential` of `nn.Linear` and
`symact.Activation`, `gradient_function` gives a backward pass written out over the flat gradient buffer: in one native
call (`native_chain.py`) where the network is small and the library is there, else as `Chain`, which says the same in
torch. For every other network it gives `torch.autograd.grad`. All compute the same numbers up to rounding, and an
activation runs in double precision wherever the module itself would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from symact.activation.module import Activation
from symact.activation.runner import shared_runner
from symact.program.pipeline import lower
from symact.tasks.augment import Labels, MixedLabels
from symact.tasks.config import TrainConfig
from symact.tasks.first_order import FlatParameters
from symact.tasks.mlp_step_native import NativeChain, gradient_views

# (x, y) -> the mean loss, and its gradient as a flat tensor that the next call may overwrite.
GradientFunction = Callable[[torch.Tensor, Labels], tuple[torch.Tensor, torch.Tensor]]


def gradient_function(model: nn.Module, flat: FlatParameters, config: TrainConfig) -> GradientFunction:
    """The quickest function that gives loss and gradient of `model` in the parameters of `flat`.

    Where the configuration says so, the loss is compiled whole, and its gradient with it. What an earlier training
    has compiled is forgotten then: the compiler counts what it compiled of one line of code, and refuses at eight.

    Args:
        model: gives class scores ``(n, classes)`` or ``(n, ..., classes)``.
        flat: the parameters to differentiate by.
        config: label smoothing, mixed precision (on CUDA only), whether to compile.
    """
    device, smoothing, chain = flat.buffer.device.type, config.label_smoothing, None
    if is_chain(model) and not config.compile:
        chain = NativeChain.of(model, flat, smoothing) or Chain(model, flat, smoothing)
    autocast = torch.autocast(device, torch.bfloat16, enabled=config.mixed_precision and device == "cuda")

    def loss_of(x: torch.Tensor, y: Labels) -> torch.Tensor:
        return mean_loss(model(x), y, smoothing)

    if config.compile:
        torch.compiler.reset()
        loss_of = torch.compile(loss_of, fullgraph=True, dynamic=False)

    def compute(x: torch.Tensor, y: Labels) -> tuple[torch.Tensor, torch.Tensor]:
        if chain is not None and plain_rows(x) and isinstance(y, torch.Tensor):
            return chain(x, y)
        with autocast:
            loss = loss_of(x, y)
        return loss.detach(), flat.gradient(loss)

    return compute


def plain_rows(x: torch.Tensor) -> bool:
    """What a chain takes: float32 rows ``(n, inputs)``."""
    return x.dim() == 2 and x.dtype == torch.float32


def mean_loss(output: torch.Tensor, y: Labels, smoothing: float = 0.0) -> torch.Tensor:
    """Mean cross-entropy of scores ``(n, ..., classes)`` with labels ``(n, ...)``; of mixed ones, that of both."""
    if isinstance(y, MixedLabels):
        first, second = (
            functional.cross_entropy(output, part, reduction="none", label_smoothing=smoothing) for part in y[:2]
        )
        return torch.lerp(second, first, y.share.to(first.dtype)).mean()
    if output.dim() > 2:
        output, y = output.flatten(0, -2), y.flatten()
    return functional.cross_entropy(output, y, label_smoothing=smoothing)


def is_chain(model: nn.Module) -> bool:
    """An `nn.Sequential` of float32 `nn.Linear` and `symact.Activation` on a CPU, ending in a linear layer.

    Hooks, a module that stands twice, and parameters that enter their formula transformed (`positive`)
    are left to autograd.
    """
    if type(model) is not nn.Sequential or len(model) == 0 or type(model[-1]) is not nn.Linear:
        return False
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, name) for module in model.modules() for name in hooks):
        return False
    for module in model:
        if type(module) is nn.Linear:
            simple = module.weight.dtype == torch.float32 and module.weight.device.type == "cpu"
        else:
            simple = type(module) is Activation and not any(p.positive for p in module.expr.parameters)
        if not simple:
            return False
    return len({id(module) for module in model}) == len(model)


class Chain:
    """Loss and gradient of a chain of linear layers and activations, without autograd.

    Args:
        model: an `nn.Sequential` for which `is_chain` holds.
        flat: the parameters to differentiate by; those of the model that are not in it are left out.
        smoothing: label smoothing.
    """

    def __init__(self, model: nn.Module, flat: FlatParameters, smoothing: float):
        self.gradient = torch.zeros_like(flat.buffer)
        self.smoothing = smoothing
        # Row k is the wanted distribution for label k; made when the number of classes is seen.
        self.targets: torch.Tensor | None = None
        views = gradient_views(flat, self.gradient)
        self.links: list[Link] = []
        for module in model.children():
            if isinstance(module, nn.Linear):
                self.links.append(_Linear(module, views))
            elif isinstance(module, Activation):
                self.links.append(_Activation(module, views))

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss of the batch, and the flat gradient (overwritten by the next call)."""
        with torch.no_grad():
            return self._differentiate(x, y), self.gradient

    def _differentiate(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        value = x
        for link in self.links:
            value = link.forward(value)
        count, classes = value.shape
        logarithms = torch.log_softmax(value, 1)
        if self.targets is None or len(self.targets) != classes:
            eye = torch.eye(classes, dtype=value.dtype)
            self.targets = eye * (1 - self.smoothing) + self.smoothing / classes
        targets = self.targets.index_select(0, y)
        loss = torch.dot(logarithms.view(-1), targets.view(-1)).div_(-count)
        grad: torch.Tensor | None = logarithms.exp_().sub_(targets).div_(count)
        for position in range(len(self.links) - 1, -1, -1):
            assert grad is not None
            grad = self.links[position].backward(grad, needs_input=position > 0)
        return loss


def measure_function(model: nn.Module) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor | float, Any]]:
    """(x, y) -> mean cross-entropy (without smoothing), and how many labels have the highest score.

    A chain is computed as in training.
    """
    native, links = None, []
    if is_chain(model):
        native = NativeChain.of(model, FlatParameters([]), 0.0)
        links = [] if native else Chain(model, FlatParameters([]), 0.0).links

    def measure(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor | float, Any]:
        if native is not None and plain_rows(x):
            return native.measure(x, y)
        if links and plain_rows(x):
            for link in links:
                x = link.forward(x)
            output = x
        else:
            output = model(x)
        return mean_loss(output, y), (output.argmax(-1) == y).sum()

    return measure


class Link:
    """One module of a chain: `forward` keeps what `backward` needs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The module's output."""
        raise NotImplementedError

    def backward(self, grad: torch.Tensor, needs_input: bool) -> torch.Tensor | None:
        """Write the parameters' gradients; give the input's if it is needed."""
        raise NotImplementedError


class _Linear(Link):
    def __init__(self, module: nn.Linear, views: dict[int, torch.Tensor]):
        self.weight, self.transposed = module.weight.detach(), module.weight.detach().t()
        self.bias = None if module.bias is None else module.bias.detach()
        self.weight_grad = views.get(id(module.weight))
        self.bias_grad = None if module.bias is None else views.get(id(module.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return torch.mm(x, self.transposed) if self.bias is None else torch.addmm(self.bias, x, self.transposed)

    def backward(self, grad: torch.Tensor, needs_input: bool) -> torch.Tensor | None:
        if self.weight_grad is not None:
            torch.mm(grad.t(), self.x, out=self.weight_grad)
        if self.bias_grad is not None:
            torch.sum(grad, 0, out=self.bias_grad)
        return torch.mm(grad, self.weight) if needs_input else None


class _Activation(Link):
    """A `symact.Activation` without autograd: its kernels, by the plan that the module obeys."""

    def __init__(self, module: Activation, views: dict[int, torch.Tensor]):
        parameters = list(module.parameters())
        self.values = tuple(parameter.detach() for parameter in parameters)
        self.views = [views.get(id(parameter)) for parameter in parameters]
        self.runner = shared_runner(lower(module.expr))
        self.plan = self.runner.plan("cpu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x, self.exceeds = x, self.plan.exceeds(x, self.values)
        if self.plan.narrow is None:
            output: torch.Tensor = self.runner(x, self.values)
            return output if output.shape == x.shape else output.expand_as(x)
        return self.plan.values(x, self.values, self.exceeds)

    def backward(self, grad: torch.Tensor, needs_input: bool) -> torch.Tensor | None:
        if self.plan.narrow is None:
            leaves = [tensor.detach().requires_grad_() for tensor in (self.x, *self.values)]
            with torch.enable_grad():
                output = self.runner(leaves[0], tuple(leaves[1:]))
            found = torch.autograd.grad(output, leaves, grad, materialize_grads=True)
        else:
            found = self.plan.slopes(grad, self.x, self.values, self.exceeds)
        for view, gradient in zip(self.views, found[1:], strict=True):
            if view is not None:
                view.copy_(gradient if gradient.shape == view.shape else gradient.sum_to_size(view.shape))
        return found[0]
