"""The named tasks that are for GPUs: CIFAR, Imagenette and ImageNet with networks that have convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from symact.tasks import networks
from symact.tasks.builtin import ImageTask
from symact.tasks.config import TrainConfig
from symact.tasks.data import Dataset, images
from symact.tasks.folder import imagenet
from symact.tasks.mobilevit import mobilevit_v2
from symact.tasks.networks import MakeActivation


class LargeImageTask(ImageTask):
    """An image task for a GPU, whose own training is with weight decay and may be with large rates and batches."""

    tunable = {
        "rate": "1e-3:1.0:log",
        "weight_decay": "1e-6:0.5:log",
        "initial_scale": "0.3:3.0:log",
        "batch": "32:1024:log",
    }


class CIFAR10AllCNNC(LargeImageTask):
    """CIFAR-10 with All-CNN-C, 25 epochs of SGD with a cosine rate; for a GPU."""

    name, sites, has_width = "cifar10-allcnnc", 9, True
    config = TrainConfig(
        epochs=25,
        batch=128,
        optimizer="sgd",
        rate=0.01,
        weight_decay=1e-3,
        decay="cosine",
        augment=True,
        mixed_precision=True,
        evaluation_batch=250,
    )
    source: ClassVar[str] = "CIFAR10"

    def load(self) -> Dataset:
        """The whole data set."""
        return images(self.source, self.root)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """All-CNN-C."""
        return networks.all_cnn_c(make_activation, 3, self.dataset.classes, self.config.width)


class CIFAR100AllCNNC(CIFAR10AllCNNC):
    """CIFAR-100 with All-CNN-C."""

    name, source = "cifar100-allcnnc", "CIFAR100"


class CIFAR10ResNet20(CIFAR10AllCNNC):
    """CIFAR-10 with ResNet-20; for a GPU."""

    name, sites, has_width = "cifar10-resnet20", 19, False
    config = TrainConfig(
        epochs=50,
        batch=128,
        optimizer="sgd",
        rate=0.1,
        weight_decay=1e-4,
        decay="cosine",
        augment=True,
        mixed_precision=True,
        evaluation_batch=500,
    )
    depth: ClassVar[int] = 20

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """A ResNet for small images, of the task's depth."""
        return networks.resnet_cifar(make_activation, self.depth, 3, self.dataset.classes)


class CIFAR10ResNet56(CIFAR10ResNet20):
    """CIFAR-10 with ResNet-56; for a GPU."""

    name, sites, depth = "cifar10-resnet56", 55, 56


class CIFAR100ResNet56(CIFAR10ResNet56):
    """CIFAR-100 with ResNet-56; for a GPU."""

    name, source = "cifar100-resnet56", "CIFAR100"


class ImagenetteMobileViT(CIFAR10AllCNNC):
    """Imagenette with MobileViTv2-0.5 of timm (extra `zoo`); for a GPU."""

    name, sites, source, has_width = "imagenette-mobilevitv2", 34, "Imagenette", False
    config = TrainConfig(
        epochs=105,
        batch=128,
        optimizer="adamw",
        rate=2e-3,
        weight_decay=0.05,
        decay="cosine",
        label_smoothing=0.1,
        augment=True,
        mixed_precision=True,
        evaluation_batch=100,
    )
    tunable = {**LargeImageTask.tunable, "rate": "1e-4:0.1:log"}  # of AdamW
    model: ClassVar[str] = "mobilevitv2_050"

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """A network of timm."""
        return networks.zoo(self.model, make_activation, self.dataset.classes)


class ImagenetteCoAtNet(ImagenetteMobileViT):
    """Imagenette with CoAtNet (nano) of timm (extra `zoo`); for a GPU."""

    name, sites, model = "imagenette-coatnet", 31, "coatnet_nano_rw_224"

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """A network of timm that must know the size of the images."""
        return networks.zoo(self.model, make_activation, self.dataset.classes, self.dataset.train.x.shape[-1])


class ImageNetResNet50(LargeImageTask):
    """ImageNet (folders `ImageNet/train` and `ImageNet/val`) with torchvision's ResNet-50; for a large GPU."""

    name, sites = "imagenet-resnet50", 17
    config = TrainConfig(
        epochs=90,
        batch=256,
        optimizer="sgd",
        rate=0.1,
        weight_decay=1e-4,
        decay="cosine",
        label_smoothing=0.1,
        augment=True,
        crop=0.08,
        mixed_precision=True,
        channels_last=True,
        evaluation_batch=250,
    )

    def load(self) -> Dataset:
        """Images read from their folders when they are needed."""
        return imagenet(self.root, workers=self.config.workers)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """ResNet-50."""
        return networks.resnet50(make_activation, self.dataset.classes)


class ImageNetMobileViT(LargeImageTask):
    """ImageNet with MobileViTv2-0.5, the recipe of its authors; for several large GPUs.

    Of the recipe (CVNets, `mobilevit_v2.yaml`) differs: the rate ends at 0 in place of a tenth, and 50,000 of the
    training images are held out for validation.
    """

    name, sites = "imagenet-mobilevitv2", 34
    tunable = {**LargeImageTask.tunable, "rate": "1e-4:0.1:log", "batch": "128:4096:log"}  # of AdamW
    config = TrainConfig(
        epochs=300,
        batch=1024,
        optimizer="adamw",
        rate=2e-3,
        weight_decay=0.05,
        clip=10.0,
        warmup=0.053,  # 20,000 steps
        decay="cosine",
        label_smoothing=0.1,
        augment=True,
        crop=0.08,
        randaugment=2,
        mixup=0.2,
        cutmix=1.0,
        random_erase=0.25,
        ema=0.9995,
        mixed_precision=True,
        channels_last=True,
        evaluation_batch=250,
    )

    def load(self) -> Dataset:
        """Images of 256 pixels, read from their folders when they are needed."""
        return imagenet(self.root, size=256, workers=self.config.workers)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """MobileViTv2-0.5."""
        return mobilevit_v2(make_activation, self.dataset.classes)
