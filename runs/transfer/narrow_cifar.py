"""CIFAR-10 with All-CNN-C of a quarter of its width on 5,000 images: what of the published task fits a CPU.

symact compare "erfc(softplus(x))**2" --task runs/transfer/narrow_cifar.py:NarrowAllCNNC --data DIR --train epochs=5
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from symact.tasks import TASKS, networks
from symact.tasks.data import Dataset, images

WIDTH, IMAGES, VALIDATION, EPOCHS = 0.25, 5_000, 5_000, 5


class NarrowAllCNNC(TASKS["cifar10-allcnnc"]):
    """As `cifar10-allcnnc`, narrow, on few images and for few epochs, without mixed precision."""

    name = "cifar10-allcnnc-narrow"
    config = replace(TASKS["cifar10-allcnnc"].config, epochs=EPOCHS, mixed_precision=False)

    def load(self) -> Dataset:
        """The first images of the training file to train on, others of it to validate."""
        return images(self.source, self.root, IMAGES, VALIDATION)

    def network(self, make_activation: networks.MakeActivation) -> nn.Module:
        """All-CNN-C with a quarter of its channels."""
        return networks.all_cnn_c(make_activation, 3, self.dataset.classes, width=WIDTH)
