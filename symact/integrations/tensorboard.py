"""A callback that writes a study into TensorBoard's event files, by PyTorch's own writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symact.expr.tree import candidate_text
from symact.integrations.logged import imported, parameters, scalars
from symact.study.progress import Progress


class TensorBoard:
    """For `Study.run(callbacks=[TensorBoard("out/events")])`; steps are functions evaluated.

    Args:
        folder: of the event files.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path | str):
        imported("tensorboard", "tensorboard")
        self._writer = imported("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder))
        self._begun = False

    def __call__(self, study: Any, progress: Progress) -> None:
        """Write one report."""
        if not self._begun:
            self._begun = True
            rows = "\n".join(f"| {name} | {value} |" for name, value in parameters(study).items())
            self._writer.add_text("study", f"| | |\n|---|---|\n{rows}")
        if progress.trial is None:
            return
        for name, value in scalars(progress).items():
            self._writer.add_scalar(name, value, progress.evaluations)
        trial = progress.trial
        text = f"`{candidate_text(trial.candidate)}` {trial.status.value} {study.settings.metric.text(trial.score)}"
        self._writer.add_text("function", text, progress.evaluations)

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()
