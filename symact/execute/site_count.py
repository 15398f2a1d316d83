"""How many activation sites a training used, against how many its task says that it has.

A task may build its network twice (an average of the weights, a copy to test): the second copy begins with the first
site again, so the modules made may be any multiple of the sites. Whether they are, the calls tell; whether two rounds
of modules are two networks or one, only the data tells: in one network, what one module gives reaches another.
"""

from __future__ import annotations

from typing import Any

from symact.tasks.declaration import task_name


class SiteCount:
    """Counts the modules of a training.

    Attributes:
        made: how many so far.

    Args:
        sites: how many the task says that it has.
        watched: also look whether modules of two rounds are in one network; for one training, for it costs time.
    """

    def __init__(self, sites: int, watched: bool = False):
        self._sites, self._watched = sites, watched
        self.made = 0
        self._given: dict[Any, int] = {}  # node of autograd -> the round of the module whose first output it made
        self._is_one = False

    def add(self, module: Any) -> Any:
        """Count a module that was made; returns it."""
        if self._watched:
            module.register_forward_hook(_Hook(self, self.made // self._sites))
        self.made += 1
        return module

    def look(self, number: int, inputs: tuple[Any, ...], output: Any) -> bool:
        """Note the first output of a module of a round; False where it has no gradient and another is to be seen."""
        node = getattr(output, "grad_fn", None)
        if node is None:
            return False
        if number and not self._is_one:
            self._is_one = any(self._reached(number, getattr(tensor, "grad_fn", None)) for tensor in inputs)
        self._given[node] = number
        return True

    def _reached(self, number: int, start: Any) -> bool:
        """Whether the output of a module of another round is behind this node."""
        waiting, seen = [start], {None}
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if self._given.get(node, number) != number:
                return True
            waiting += [before for before, _ in node.next_functions]
        return False

    def wrong(self, task: Any) -> str:
        """How it differs from what the task says, after a training: in words, `""` where it does not.

        A task that made no module has done something else with the candidate, and is believed.
        """
        self._given.clear()
        if self.made % self._sites == 0 and not self._is_one:
            return ""
        times = "once" if self.made == 1 else f"{self.made} times"
        one, joined = "", ""
        if self.made % self._sites == 0:
            one = " for one network"
            joined = " (networks that feed one another, as a generator its discriminator, count as one)"
        return (
            f"{task_name(task)} says sites = {self._sites}, but its training called make_activation {times}{one}; "
            f"`sites` is how many activations one network has{joined}, a function for each: correct it in the task"
        )


class _Hook:
    """Looks at the first forward pass with a gradient; a copy of the module looks at nothing, and it can be pickled."""

    def __init__(self, count: SiteCount, number: int):
        self._count: SiteCount | None = count
        self._number = number

    def __call__(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        import torch

        if self._count is None or torch.compiler.is_compiling():
            return
        if self._count.look(self._number, inputs, output):
            self._count = None

    def __deepcopy__(self, memo: Any) -> _Hook:
        return _unwatched()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unwatched, ()


def _unwatched() -> _Hook:
    hook = _Hook.__new__(_Hook)
    hook._count, hook._number = None, 0
    return hook
