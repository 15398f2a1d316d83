"""A bridge for users of Optuna: a space as a categorical parameter, and a sampler that asks a symact optimizer.

    space = symact.load_grammar("aquasurf").space("bench")
    study = optuna.create_study(direction="maximize", sampler=SymactSampler(space, "evolution"))
    study.optimize(lambda trial: train(suggest_function(trial, space), lr=trial.suggest_float("lr", 1e-4, 1e-1)), 60)

A choice is a function, not a spelling: Optuna never sees two that are the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from symact.errors import InputError
from symact.expr.space import Space
from symact.expr.tree import Expr, parse
from symact.integrations.logged import imported
from symact.optimize import OPTIMIZERS
from symact.optimize.pool import Pool
from symact.records import Direction, Outcome, Status, Trial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
else:
    BaseSampler = imported("optuna.samplers", "optuna").BaseSampler

NAME = "activation"
MOST = 60_000  # choices of one parameter


def function_choices(space: Space) -> tuple[str, ...]:
    """One expression for each distinct usable function of a space, in enumeration order.

    Raises:
        InputError: the space is too large to be listed.
    """
    return _choices(space)[0]


def function_distribution(space: Space) -> Any:
    """`optuna.distributions.CategoricalDistribution` over the functions of a space."""
    return imported("optuna.distributions", "optuna").CategoricalDistribution(function_choices(space))


def suggest_function(trial: Any, space: Space, name: str = NAME) -> Expr:
    """The function of a trial of Optuna, to be given to `symact.Activation`."""
    return parse(trial.suggest_categorical(name, function_choices(space)), space.grammar)


class SymactSampler(BaseSampler):
    """Samples the function by an optimizer of symact, and every other parameter by another sampler.

    Args:
        space: as given to `suggest_function`.
        optimizer: `random`, `evolution`, `rl` or `surrogate`.
        seed: of the optimizer.
        name: of the parameter.
        others: sampler of the other parameters; None for Optuna's random one.
        settings: of the optimizer.

    Raises:
        InputError: there is no such optimizer, or it proposes mixtures, which are no choice.
    """

    def __init__(
        self,
        space: Space,
        optimizer: str = "evolution",
        seed: int = 0,
        name: str = NAME,
        others: Any = None,
        **settings: Any,
    ):
        if OPTIMIZERS.checked(optimizer) == "mixture":
            raise InputError(
                "mixture proposes weighted sums, which are no choice among functions; use another optimizer"
            )
        self._space, self._name = space, name
        self._others = imported("optuna.samplers", "optuna").RandomSampler(seed=seed) if others is None else others
        self._optimizer = OPTIMIZERS[optimizer](space, seed, **settings)
        self._told: set[int] = set()

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """That of the other sampler, without the function."""
        found = dict(self._others.infer_relative_search_space(study, trial))
        found.pop(self._name, None)
        return found

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        """By the other sampler."""
        return dict(self._others.sample_relative(study, trial, search_space))

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """The next function of the optimizer; any other parameter by the other sampler."""
        if param_name != self._name:
            return self._others.sample_independent(study, trial, param_name, param_distribution)
        choices, by_function = _choices(self._space)
        if tuple(param_distribution.choices) != choices:
            raise InputError(
                f"the choices of {self._name!r} are not those of this sampler's space; use suggest_function"
            )
        running = self._tell(study)
        key = self._optimizer.key
        taken = {key(parse(text, self._space.grammar)) for text in running}
        for candidate in self._optimizer.ask(len(taken) + 1):
            if key(candidate) not in taken and key(candidate) in by_function:
                return by_function[key(candidate)]
        # Every function was tried; Optuna goes on, so it goes round again.
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Of the other sampler; the optimizer has no generator that could be shared."""
        self._others.reseed_rng()

    def _tell(self, study: Any) -> list[str]:
        """Tell the optimizer what has finished; returns the functions of what has not."""
        minimize = study.direction.name == "MINIMIZE"
        direction, running = Direction.minimize if minimize else Direction.maximize, []
        for trial in study.get_trials(deepcopy=False):
            text = trial.params.get(self._name)
            if text is None or trial.number in self._told:
                continue
            if not trial.state.is_finished():
                running.append(text)
                continue
            outcome = Outcome.failed(Status.crashed, trial.state.name)
            if trial.state.name == "COMPLETE" and trial.value is not None:
                outcome = Outcome.finished(trial.value)
            candidate = parse(text, self._space.grammar)
            told = Trial(candidate, (outcome,), "optuna", trial.number, direction=direction)
            self._optimizer.tell([told.maximized()])
            self._told.add(trial.number)
        return running


@lru_cache(maxsize=8)
def _choices(space: Space) -> tuple[tuple[str, ...], dict[Any, str]]:
    pool = Pool.of(space)
    if pool.members is None or len(pool.members) > MOST:
        raise InputError(f"the space {space.name!r} has too many functions to be a list of choices")
    return tuple(map(str, pool.members)), {pool.index.key(member): str(member) for member in pool.members}
