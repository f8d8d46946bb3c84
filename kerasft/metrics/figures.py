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
        from_0_to_1: whether a number lies there, as a share does: it is then drawn on that scale, beside others.
    """

    name: str
    title: str
    about: str
    higher_is_better: bool = True
    form: Form = "share"
    place: Literal["headline", "table", "report"] = "table"
    from_0_to_1: bool = False

    @property
    def is_bounded(self) -> bool:
        """Whether it lies from 0 to 1."""
        return self.form == "share" or self.from_0_to_1


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
    "log_loss",
    "Log-loss",
    "mean negative log-likelihood of the labels, in nats; lower is better",
    False,
    "number",
)
_ROC_AUC = FigureKind(
    "roc_auc",
    "ROC AUC",
    "area under the ROC curve; 0.5 is chance, 1 is perfect",
    form="number",
    place="headline",
    from_0_to_1=True,
)
_EXAMPLES = FigureKind("examples", "Examples", "measured", form="count")
_PER_CLASS = ("precision", "recall", "f1")

CLASSIFICATION = FigureKinds(
    (
        FigureKind("accuracy", "Accuracy", "share of examples with the correct label", place="headline"),
        FigureKind(
            "macro_f1",
            "Macro F1",
            "the mean of the labels' F1; every label counts the same",
            place="headline",
        ),
        FigureKind("weighted_f1", "Weighted F1", "macro F1 weighted by the labels' frequency"),
        FigureKind(
            "mcc",
            "Matthews correlation",
            "0 is chance, 1 is perfect; also suits rare labels",
            form="number",
            from_0_to_1=True,
        ),
        _ROC_AUC,
        _LOG_LOSS,
        FigureKind(
            "brier",
            "Brier score",
            "squared error of the probabilities; lower is better",
            False,
            "number",
            from_0_to_1=True,
        ),
        FigureKind(
            "ece",
            "Calibration error",
            "difference between confidence and accuracy (ECE); lower is better",
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
        FigureKind("accuracy", "Accuracy", "share of examples with all labels correct", place="headline"),
        FigureKind(
            "hamming_loss", "Hamming loss", "share of single labels that are wrong; lower is better", False
        ),
        FigureKind("micro_f1", "Micro F1", "F1 over all labels together", place="headline"),
        FigureKind("micro_precision", "Micro precision", "share of predicted labels that are correct"),
        FigureKind("micro_recall", "Micro recall", "share of true labels that are predicted"),
        FigureKind("macro_f1", "Macro F1", "the mean of the labels' F1", place="headline"),
        FigureKind(
            "macro_precision", "Macro precision", "the mean of the labels' precisions", place="report"
        ),
        FigureKind("macro_recall", "Macro recall", "the mean of the labels' recalls", place="report"),
        FigureKind("weighted_f1", "Weighted F1", "macro F1 weighted by the labels' frequency"),
        FigureKind(
            "weighted_precision",
            "Weighted precision",
            "macro precision weighted by the labels' frequency",
            place="report",
        ),
        FigureKind(
            "weighted_recall",
            "Weighted recall",
            "macro recall weighted by the labels' frequency",
            place="report",
        ),
        FigureKind(
            "mean_average_precision",
            "Mean average precision",
            "how well each label's examples rank above the others; 1 is perfect",
            form="number",
            place="headline",
            from_0_to_1=True,
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
        ("partial", "Partial", "overlaps count one half, and types are ignored"),
        ("exact", "Exact", "types are ignored"),
        ("ent_type", "Type", "any overlap with the correct type counts"),
    ):
        yield FigureKind(
            f"{prefix}_f1",
            f"{name} F1",
            f"as F1, but {about}",
            place="headline" if prefix == "partial" else "report",
        )
        for kind in ("precision", "recall"):
            yield FigureKind(f"{prefix}_{kind}", f"{name} {kind}", f"as {name} F1 counts", place="report")


ENTITIES = FigureKinds(
    (
        FigureKind("f1", "F1", "F1 of entities with the exact span and type", place="headline"),
        FigureKind(
            "precision", "Precision", "share of predicted entities that are correct", place="headline"
        ),
        FigureKind("recall", "Recall", "share of true entities that are found", place="headline"),
        *_list_matches(),
        FigureKind(
            "token_accuracy",
            "Token accuracy",
            "share of words with the correct tag; high, since most words are outside entities",
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

LANGUAGE = FigureKinds(
    (
        FigureKind(
            "bits_per_byte",
            "Bits per byte",
            "the loss by the text's length in UTF-8; comparable between tokenizers that lose nothing; lower is better",
            False,
            "number",
            place="headline",
        ),
        FigureKind(
            "perplexity",
            "Perplexity",
            "exp of the log-loss: among how many equally likely tokens the model wavers; lower is better",
            False,
            "number",
        ),
        FigureKind(
            "accuracy",
            "Accuracy",
            "share of tokens that are the model's first guess",
            place="headline",
        ),
        FigureKind(
            "log_loss",
            "Log-loss",
            "mean negative log-likelihood of a token, in nats; lower is better",
            False,
            "number",
        ),
        FigureKind("examples", "Documents", "measured", form="count"),
        FigureKind("tokens", "Tokens", "in them", form="count", place="report"),
        FigureKind("predicted_tokens", "Tokens predicted", "of them", form="count", place="report"),
    )
)
"""`kerasft.metrics.language`."""
