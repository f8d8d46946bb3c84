"""The tables of figures: one name, one meaning, and which way is better."""

from __future__ import annotations

import pytest

from kerasft.metrics.detection.figure_kinds import DETECTION
from kerasft.metrics.figures import CLASSIFICATION, ENTITIES, MULTI_LABEL, FigureKind, FigureKinds

TABLES = {
    "one label": CLASSIFICATION,
    "several labels": MULTI_LABEL,
    "entities": ENTITIES,
    "boxes": DETECTION,
}


@pytest.mark.parametrize("kinds", TABLES.values(), ids=list(TABLES))
def test_every_figure_has_a_title_and_a_meaning_and_losses_are_better_low(kinds: FigureKinds) -> None:
    names = [kind.name for kind in kinds]
    assert len(names) == len(set(names))
    assert len({kind.title for kind in kinds}) == len(names)
    for kind in kinds:
        assert kind.about
        is_loss = kind.name in ("log_loss", "brier", "ece", "hamming_loss")
        assert kind.higher_is_better != (is_loss or kind.name.startswith(("cost_", "errors_")))
        assert ("lower is better" in kind.about) == (not kind.higher_is_better)
    assert "examples" not in kinds.names


def test_figures_of_single_classes_and_unknown_ones_have_a_kind() -> None:
    assert CLASSIFICATION.find("f1/spam").form == "share"
    assert CLASSIFICATION.find("support/spam").form == "count"
    assert CLASSIFICATION.find("bits_per_byte") == FigureKind(
        "bits_per_byte", "bits per byte", "", form="other"
    )
    assert ENTITIES.find("partial_f1").title == "Partial F1"
