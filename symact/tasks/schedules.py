"""Which parameters train when: `joint`, Bansal's `three-cycle`, and `bilevel`.

In: a model, its mixture parameters, the training split. Out: the `Phase`s that `train` walks
through. Without mixture parameters a schedule trains everything together for as many epochs, so that a reference
has the budget of the mixture that it is compared with. The validation split is never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from symact.errors import InputError
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.train import Phase, Turn

# Bansal 2022: the mixture's weights train at this rate, ten times that of the network's weights.
MIXTURE_RATE = 1e-2
# Bansal 2022: three cycles of ten epochs.
CYCLE_EPOCHS = 10


def mixture_parameters(activations: Sequence[nn.Module]) -> list[nn.Parameter]:
    """The mixture parameters of those activations that have any (`Activation.mixture_parameters`)."""
    givers = [getattr(activation, "mixture_parameters", None) for activation in activations]
    found = [parameter for give in givers if callable(give) for parameter in give()]
    return list({id(parameter): parameter for parameter in found}.values())


def joint(model: nn.Module, mixture: Sequence[nn.Parameter], data: Split, config: TrainConfig) -> list[Phase]:
    """All parameters together for `config.epochs`."""
    return [Phase("joint", config.epochs, (Turn(list(model.parameters()), data, config.rate),))]


def three_cycle(model: nn.Module, mixture: Sequence[nn.Parameter], data: Split, config: TrainConfig) -> list[Phase]:
    """Bansal 2022: ten epochs of the weights, ten of the mixture alone, ten of the weights again."""
    weights = Turn(_others(model, mixture), data, config.rate)
    only = Turn(list(mixture), data, MIXTURE_RATE)
    return [
        Phase("weights", CYCLE_EPOCHS, (weights,)),
        Phase("mixture", CYCLE_EPOCHS, (only,)),
        Phase("weights again", CYCLE_EPOCHS, (weights,)),
    ]


def bilevel(model: nn.Module, mixture: Sequence[nn.Parameter], data: Split, config: TrainConfig) -> list[Phase]:
    """First-order bi-level training (DARTS, GRAFS arXiv:2408.06820).

    Batch by batch, the weights step on the first half of the training split and the mixture on the
    held-out second half; twice the epochs, so that the weights take as many steps as in `joint`.
    """
    first, second = data.halves()
    turns = (Turn(_others(model, mixture), first, config.rate), Turn(list(mixture), second, MIXTURE_RATE))
    return [Phase("bilevel", 2 * config.epochs, turns)]


SCHEDULES: dict[str, Callable[[nn.Module, Sequence[nn.Parameter], Split, TrainConfig], list[Phase]]] = {
    "joint": joint,
    "three-cycle": three_cycle,
    "bilevel": bilevel,
}


def plan(
    schedule: str, model: nn.Module, activations: Sequence[nn.Module], data: Split, config: TrainConfig
) -> list[Phase]:
    """The phases of a named schedule; of as many epochs for a network without mixture parameters.

    Raises:
        InputError: unknown schedule.
    """
    if schedule not in SCHEDULES:
        raise InputError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")
    mixture = mixture_parameters(activations)
    phases = SCHEDULES[schedule](model, mixture, data, config)
    if mixture:
        return phases
    everything = Turn(list(model.parameters()), data, config.rate)
    return [Phase("joint", sum(phase.epochs for phase in phases), (everything,))]


def _others(model: nn.Module, mixture: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    chosen = {id(parameter) for parameter in mixture}
    return [parameter for parameter in model.parameters() if id(parameter) not in chosen]
