"""The figures that models are measured by: what each is called, what it means, and which way is better.

Without NumPy, so that configs can be checked with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Form = Literal["share", "number", "count", "other"]


@dataclass(frozen=True)
class FigureKind:
    """One figure.

    Attributes:
        name: its key in metrics.json.
        title: for people.
        about: what it means, in half a sentence.
        higher_is_better: which way is better.
        form: `share` is shown as a percentage, `number` with three decimals, `count` as a whole number; `other` is
            for those that nothing is known of.
        place: `headline` figures stand large in the report; `table` ones also on the terminal and in the model card;
            `report` ones in the report alone.
    """

    name: str
    title: str
    about: str
    higher_is_better: bool = True
    form: Form = "share"
    place: Literal["headline", "table", "report"] = "table"


class FigureKinds:
    """The figures of a task, in the order in which they are shown.

    Args:
        kinds: of whole splits.
        by_class: names of those that single classes have too, as `f1/person`.
    """

    def __init__(self, kinds: Iterable[FigureKind], by_class: Iterable[str] = ()):
        self._kinds = {kind.name: kind for kind in kinds}
        self._by_class = frozenset(by_class)

    def __iter__(self) -> Iterator[FigureKind]:
        return iter(self._kinds.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Those that tell how good a model is on a whole split: an epoch can be chosen by them."""
        return tuple(kind.name for kind in self if kind.form != "count")

    def find(self, name: str) -> FigureKind:
        """The kind of a figure, also of a single class's, and of one that is not known."""
        if name in self._kinds:
            return self._kinds[name]
        base = name.partition("/")[0]
        form: Form = "other"
        if "/" in name:
            form = "count" if base == "support" else "share" if base in self._by_class else "other"
        return FigureKind(name, name.replace("_", " "), "", form=form)

    def higher_is_better(self, name: str) -> bool:
        """Whether a figure's larger value is the better one."""
        return self.find(name).higher_is_better


_LOG_LOSS = FigureKind(
    "log_loss", "Log-loss", "how surprised it is by the labels, nats; lower is better", False, "number"
)
_ROC_AUC = FigureKind(
    "roc_auc", "ROC AUC", "how well it ranks; 0.5 is chance, 1 perfect", form="number", place="headline"
)
_EXAMPLES = FigureKind("examples", "Examples", "measured", form="count")
_PER_CLASS = ("precision", "recall", "f1")

CLASSIFICATION = FigureKinds(
    (
        FigureKind("accuracy", "Accuracy", "share of examples that it is right on", place="headline"),
        FigureKind(
            "macro_f1",
            "Macro F1",
            "precision and recall in one, every label counting alike",
            place="headline",
        ),
        FigureKind("weighted_f1", "Weighted F1", "the same, labels counting by their frequency"),
        FigureKind(
            "mcc", "Matthews correlation", "0 is chance, 1 perfect; fair to rare labels", form="number"
        ),
        _ROC_AUC,
        _LOG_LOSS,
        FigureKind(
            "brier", "Brier score", "squared error of the probabilities; lower is better", False, "number"
        ),
        FigureKind(
            "ece",
            "Calibration error",
            "how far confidence is from accuracy (ECE); lower is better",
            False,
            place="headline",
        ),
        _EXAMPLES,
    ),
    _PER_CLASS,
)
"""`kerasft.metrics.classification`."""

MULTI_LABEL = FigureKinds(
    (
        FigureKind(
            "accuracy", "Accuracy", "share of examples of which every label is right", place="headline"
        ),
        FigureKind(
            "hamming_loss", "Hamming loss", "share of single labels that are wrong; lower is better", False
        ),
        FigureKind(
            "micro_f1", "Micro F1", "precision and recall in one, over all labels together", place="headline"
        ),
        FigureKind("micro_precision", "Micro precision", "share of the labels that it gives that are right"),
        FigureKind("micro_recall", "Micro recall", "share of the right labels that it gives"),
        FigureKind("macro_f1", "Macro F1", "the mean of the labels' F1", place="headline"),
        FigureKind(
            "macro_precision", "Macro precision", "the mean of the labels' precisions", place="report"
        ),
        FigureKind("macro_recall", "Macro recall", "the mean of the labels' recalls", place="report"),
        FigureKind("weighted_f1", "Weighted F1", "the same as macro F1, labels counting by their frequency"),
        FigureKind(
            "weighted_precision", "Weighted precision", "likewise the labels' precisions", place="report"
        ),
        FigureKind("weighted_recall", "Weighted recall", "likewise the labels' recalls", place="report"),
        FigureKind(
            "mean_average_precision",
            "Mean average precision",
            "how well each label's examples stand before the others; 1 is perfect",
            form="number",
            place="headline",
        ),
        _ROC_AUC,
        _LOG_LOSS,
        _EXAMPLES,
    ),
    _PER_CLASS,
)
"""`kerasft.metrics.multi_label`."""


def _list_matches() -> Iterator[FigureKind]:
    for prefix, name, about in (
        ("partial", "Partial", "an overlap counting one half whatever the type"),
        ("exact", "Exact", "whatever the type"),
        ("ent_type", "Type", "an overlap with the right type counting whole"),
    ):
        yield FigureKind(
            f"{prefix}_f1",
            f"{name} F1",
            f"the same as F1, {about}",
            place="headline" if prefix == "partial" else "report",
        )
        for kind in ("precision", "recall"):
            yield FigureKind(f"{prefix}_{kind}", f"{name} {kind}", f"as {name} F1 counts", place="report")


ENTITIES = FigureKinds(
    (
        FigureKind(
            "f1", "F1", "precision and recall in one, of whole entities with the right type", place="headline"
        ),
        FigureKind(
            "precision", "Precision", "share of the entities that it names that are right", place="headline"
        ),
        FigureKind("recall", "Recall", "share of the entities in the texts that it finds", place="headline"),
        *_list_matches(),
        FigureKind(
            "token_accuracy",
            "Token accuracy",
            "share of words whose tag is right; most are none, so it flatters",
        ),
        FigureKind("macro_f1", "Macro F1", "the mean of the types' F1", place="headline"),
        FigureKind("macro_precision", "Macro precision", "the mean of the types' precisions", place="report"),
        FigureKind("macro_recall", "Macro recall", "the mean of the types' recalls", place="report"),
        _LOG_LOSS,
        _EXAMPLES,
        FigureKind("entities", "Entities", "in them", form="count", place="report"),
    ),
    _PER_CLASS,
)
"""`kerasft.metrics.entities`."""
