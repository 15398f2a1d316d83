"""Activation -> Outcome: data, networks, training, features and the named tasks (`TASKS`).

The names are imported when they are first used, so that what needs no torch does not load it.
"""

from __future__ import annotations

from symact.registry import Registry, lazy

TASKS = Registry(
    "task",
    {
        "digits-shifted": "symact.tasks.builtin:DigitsShifted",
        "digits-deep": "symact.tasks.builtin:DigitsDeep",
        "fashion14-deep": "symact.tasks.builtin:Fashion14Deep",
        "mnist14-deep": "symact.tasks.builtin:MNIST14Deep",
        "fashion-cnn": "symact.tasks.builtin:FashionCNN",
        "mnist-cnn": "symact.tasks.builtin:MNISTCNN",
        "kmnist-cnn": "symact.tasks.builtin:KMNISTCNN",
        "cifar10-fast": "symact.tasks.airbench:CIFAR10Fast",
        "cifar10-allcnnc": "symact.tasks.large:CIFAR10AllCNNC",
        "cifar100-allcnnc": "symact.tasks.large:CIFAR100AllCNNC",
        "cifar10-resnet20": "symact.tasks.large:CIFAR10ResNet20",
        "cifar10-resnet56": "symact.tasks.large:CIFAR10ResNet56",
        "cifar100-resnet56": "symact.tasks.large:CIFAR100ResNet56",
        "imagenette-mobilevitv2": "symact.tasks.large:ImagenetteMobileViT",
        "imagenette-coatnet": "symact.tasks.large:ImagenetteCoAtNet",
        "imagenet-resnet50": "symact.tasks.large:ImageNetResNet50",
        "imagenet-mobilevitv2": "symact.tasks.large:ImageNetMobileViT",
        "image-fit": "symact.tasks.image_fit:ImageFit",
        "image-fit-siren": "symact.tasks.image_fit:ImageFitSiren",
        "pinn-burgers": "symact.tasks.equations:Burgers",
        "pinn-helmholtz": "symact.tasks.equations:Helmholtz",
        "pinn-allen-cahn": "symact.tasks.equations:AllenCahn",
        "pinn-convection": "symact.tasks.equations:Convection",
        "ood-polynomial": "symact.tasks.out_of_distribution:OODPolynomial",
        "ood-harmonic": "symact.tasks.out_of_distribution:OODHarmonic",
        "ood-feynman": "symact.tasks.out_of_distribution:OODFeynman",
        "table-diabetes": "symact.tasks.tables:Diabetes",
        "table-housing": "symact.tasks.tables:Housing",
        "char-lm": "symact.tasks.char_lm:CharLM",
        "char-lm-gated": "symact.tasks.char_lm:CharLMGated",
    },
    hint="your own as FILE.py:Class",
)

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "FitTask": "symact.tasks.fitting",
        "ImageTask": "symact.tasks.builtin",
        "Phase": "symact.tasks.train",
        "Problem": "symact.tasks.fitting",
        "TrainConfig": "symact.tasks.config",
        "Turn": "symact.tasks.train",
        "Dataset": "symact.tasks.data",
        "Split": "symact.tasks.data",
    },
    "TASKS",
)
