"""The names of a whole split's figures, by kind of task; without NumPy, so that configs can be checked with them.

Those of single classes (`f1/person`) and counts (`examples`) tell nothing by which an epoch could be chosen.
"""

from __future__ import annotations

CLASSIFICATION = (
    "accuracy", "macro_f1", "weighted_f1", "mcc", "roc_auc", "log_loss", "brier", "ece",
)  # fmt: skip
"""`kerasft.metrics.classification`."""

MULTI_LABEL = (
    "accuracy", "hamming_loss", "micro_f1", "micro_precision", "micro_recall", "macro_f1", "macro_precision",
    "macro_recall", "weighted_f1", "weighted_precision", "weighted_recall", "mean_average_precision", "roc_auc",
    "log_loss",
)  # fmt: skip
"""`kerasft.metrics.multi_label`."""

ENTITIES = (
    *(
        f"{prefix}{kind}"
        for prefix in ("", "macro_", "exact_", "partial_", "ent_type_")
        for kind in ("precision", "recall", "f1")
    ),
    "token_accuracy",
    "log_loss",
)
"""`kerasft.metrics.entities`."""

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "hamming_loss"})


def is_overall(figure: str) -> bool:
    """Whether a figure is of the whole split and tells how good the model is."""
    return "/" not in figure and figure not in ("examples", "entities")


def higher_is_better(figure: str) -> bool:
    """Whether a figure's larger value is the better one."""
    return figure not in LOWER_IS_BETTER
