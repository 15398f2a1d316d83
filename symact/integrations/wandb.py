"""A callback that logs a study to Weights & Biases."""

from __future__ import annotations

from typing import Any

from symact.expr.tree import candidate_text
from symact.integrations.logged import imported, parameters, scalars
from symact.study.progress import Progress


class WeightsAndBiases:
    """For `Study.run(callbacks=[WeightsAndBiases(project="activations")])`.

    Args:
        project: its name.
        options: other arguments of `wandb.init`, such as `mode="offline"`.

    Raises:
        InputError: wandb is not installed.
    """

    def __init__(self, project: str = "symact", **options: Any):
        self._wandb, self._options = imported("wandb", "wandb"), {"project": project, **options}
        self._run: Any = None

    def __call__(self, study: Any, progress: Progress) -> None:
        """Log one report."""
        if self._run is None:
            self._run = self._wandb.init(config=parameters(study), **self._options)
        if progress.trial is None:
            return
        trial = progress.trial
        words = {"function": candidate_text(trial.candidate), "status": trial.status.value}
        self._run.log({**scalars(progress), **words}, step=progress.evaluations)
        if progress.best is not None:
            self._run.summary["best function"] = candidate_text(progress.best.candidate)

    def close(self) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()
            self._run = None
