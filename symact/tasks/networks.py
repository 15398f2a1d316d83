"""Networks from the literature, built round any activation.

Every builder takes `make_activation`, a callable without arguments that gives a fresh `nn.Module`,
and calls it once per activation site in the order of the forward pass, so that learnable
parameters are per layer. Weights come from torch's global random generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from symact.errors import InputError

MakeActivation = Callable[[], nn.Module]


def glorot(module: nn.Module) -> None:
    """Glorot-uniform weights and zero biases for every linear and convolution layer (Glorot & Bengio 2010)."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def mlp(make_activation: MakeActivation, inputs: int, hidden: Sequence[int], classes: int) -> nn.Sequential:
    """A multilayer perceptron without normalization; one activation site per hidden layer.

    Args:
        make_activation: gives a fresh activation.
        inputs: number of input features.
        hidden: widths of the hidden layers.
        classes: number of outputs.
    """
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), make_activation()]
        inputs = width
    model = nn.Sequential(*layers, nn.Linear(inputs, classes))
    glorot(model)
    return model


def cnn(make_activation: MakeActivation, channels: int = 1, size: int = 28, classes: int = 10) -> nn.Sequential:
    """Two convolutions and two linear layers, three activation sites (the net of Bansal 2022).

    5x5 convolutions of 10 and 20 channels with 2x2 max pooling, then 50 hidden units.
    """
    flat = 20 * (((size - 4) // 2 - 4) // 2) ** 2
    return nn.Sequential(
        nn.Conv2d(channels, 10, 5),
        nn.MaxPool2d(2),
        make_activation(),
        nn.Conv2d(10, 20, 5),
        nn.MaxPool2d(2),
        make_activation(),
        nn.Flatten(),
        nn.Linear(flat, 50),
        make_activation(),
        nn.Linear(50, classes),
    )


# All-CNN-C, Table 1 of Springenberg et al. 2015: output channels, kernel, stride, padding of each convolution.
ALL_CNN_C = (
    (96, 3, 1, 1),
    (96, 3, 1, 1),
    (96, 3, 2, 1),
    (192, 3, 1, 1),
    (192, 3, 1, 1),
    (192, 3, 2, 1),
    (192, 3, 1, 0),
    (192, 1, 1, 0),
)


def all_cnn_c(
    make_activation: MakeActivation, channels: int = 3, classes: int = 10, width: float = 1.0, dropout: bool = True
) -> nn.Sequential:
    """All-CNN-C (arXiv:1412.6806): nine convolutions, an activation after each, then global averaging.

    Args:
        make_activation: gives a fresh activation; 9 sites.
        channels: input channels.
        classes: number of classes.
        width: factor on the number of channels, 1 in the paper.
        dropout: the paper's dropout, 20 % of the input and 50 % after each convolution of stride 2.
    """
    layers: list[nn.Module] = [nn.Dropout(0.2)] if dropout else []
    for outputs, kernel, stride, padding in ALL_CNN_C:
        outputs = max(1, round(outputs * width))
        layers += [nn.Conv2d(channels, outputs, kernel, stride, padding), make_activation()]
        if dropout and stride == 2:
            layers.append(nn.Dropout(0.5))
        channels = outputs
    layers += [nn.Conv2d(channels, classes, 1), make_activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers)
    glorot(model)
    return model


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalization and a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, make_activation: MakeActivation, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.act1 = make_activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.act2 = make_activation()
        self.stride, self.extra = stride, outputs - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output: its two convolutions and the shortcut, added and activated."""
        y = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        # Option A of the paper: subsample and pad with zero channels, no parameters.
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        if self.extra:
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        output: torch.Tensor = self.act2(y + shortcut)
        return output


def resnet_cifar(make_activation: MakeActivation, depth: int, channels: int = 3, classes: int = 10) -> nn.Sequential:
    """The CIFAR form of ResNet, depth 6n + 2 (20, 56, ...); sites: 1 + 2 per block, 6n + 1 in all.

    Raises:
        InputError: `depth` is not 6n + 2.
    """
    if depth < 8 or (depth - 2) % 6:
        raise InputError(f"a CIFAR ResNet has 6n + 2 layers (20, 32, 44, 56, ...), not {depth}")
    layers: list[nn.Module] = [
        nn.Conv2d(channels, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        make_activation(),
    ]
    inputs = 16
    for outputs in (16, 32, 64):
        for block in range((depth - 2) // 6):
            stride = 2 if outputs > 16 and block == 0 else 1
            layers.append(BasicBlock(make_activation, inputs, outputs, stride))
            inputs = outputs
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
    return model


def resnet50(make_activation: MakeActivation, classes: int = 1000) -> nn.Module:
    """torchvision's ResNet-50. Its block calls one ReLU module three times: 17 modules, 17 sites."""
    from torchvision.models import resnet50 as build

    return with_activation(build(weights=None, num_classes=classes), make_activation)


def zoo(name: str, make_activation: MakeActivation, classes: int = 10, size: int | None = None) -> nn.Module:
    """A network of timm (extra `zoo`), such as `mobilevitv2_050` or `coatnet_0_rw_224`.

    Raises:
        InputError: timm is not installed or has no such network.
    """
    try:
        import timm
    except ImportError:
        raise InputError(f"the network {name} needs timm: pip install 'symact[zoo]'") from None
    if name not in timm.list_models():
        raise InputError(f"timm has no network {name!r}")
    options: dict[str, Any] = {} if size is None else {"img_size": size}
    return with_activation(timm.create_model(name, pretrained=False, num_classes=classes, **options), make_activation)


def site_names(model: nn.Module, activations: Sequence[nn.Module]) -> list[str]:
    """The names of activations among the modules of a network."""
    names = {id(module): name for name, module in model.named_modules()}
    return [names.get(id(activation), "") for activation in activations]


# The hidden nonlinearities that `with_activation` replaces; gates (Sigmoid, Softmax) are left alone.
REPLACED = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish)


def with_activation(model: nn.Module, make_activation: MakeActivation) -> nn.Module:
    """`model` with every hidden nonlinearity replaced by a fresh activation, in the order of its modules."""
    from symact.activation.replace import replace_activations

    replace_activations(model, make_activation, of=REPLACED)
    return model
