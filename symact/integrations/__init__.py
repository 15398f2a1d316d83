"""Where symact meets other tools: TensorBoard, MLflow, Weights & Biases, Optuna, Hugging Face.

Each file is thin and imports its tool when it is used; none of them is needed by anything else. What is missing is
told in one line that says what to install.
"""

from __future__ import annotations

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "MLflow": "symact.integrations.mlflow",
        "TensorBoard": "symact.integrations.tensorboard",
        "WeightsAndBiases": "symact.integrations.wandb",
    },
)
