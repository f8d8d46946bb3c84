"""The figures of object detection: what each is called and what it means. Without NumPy, for configs."""

from __future__ import annotations

from collections.abc import Iterator

from kerasft.metrics.figures import FigureKind, FigureKinds

_SIZES = (
    ("small", "up to 32 × 32 pixels"),
    ("medium", "from 32 × 32 to 96 × 96 pixels"),
    ("large", "from 96 × 96 pixels on"),
)
_ERRORS = (
    ("class", "Class", "boxes that fit an object of another class"),
    ("place", "Place", "boxes of the correct class that do not fit their object"),
    ("both", "Class and place", "boxes near an object of another class that do not fit it"),
    ("duplicate", "Duplicate", "further boxes around an object that is found"),
    ("background", "Background", "boxes where there is nothing"),
    ("missed", "Missed", "objects without any box"),
)


def _list_sizes() -> Iterator[FigureKind]:
    for size, extent in _SIZES:
        yield FigureKind(f"ap_{size}", f"AP {size}", f"AP of {size} objects, {extent}")


def _list_recalls() -> Iterator[FigureKind]:
    for most, boxes in ((1, "box"), (10, "boxes"), (100, "boxes")):
        about = f"share of objects found with {most} {boxes} a picture and class, averaged over the overlaps"
        yield FigureKind(f"ar_{most}", f"AR {most}", about, place="table" if most == 100 else "report")
    for size, extent in _SIZES:
        yield FigureKind(
            f"ar_{size}",
            f"AR {size}",
            f"AR 100 of {size} objects, {extent}",
            place="report",
        )


def _list_errors() -> Iterator[FigureKind]:
    for kind, title, about in _ERRORS:
        yield FigureKind(
            f"cost_{kind}",
            f"AP50 lost: {title.lower()}",
            f"by how much AP50 would rise without {about}; lower is better",
            False,
            place="report",
        )
    for kind, title, about in _ERRORS:
        yield FigureKind(
            f"errors_{kind}",
            f"Errors: {title.lower()}",
            f"{about}; lower is better",
            False,
            form="count",
            place="report",
        )


DETECTION = FigureKinds(
    (
        FigureKind(
            "ap",
            "AP",
            "COCO's average precision, over the overlaps 0.50 to 0.95; 1 is perfect",
            place="headline",
        ),
        FigureKind(
            "ap50",
            "AP50",
            "average precision where half of box and object overlap",
            place="headline",
        ),
        FigureKind(
            "ap75",
            "AP75",
            "average precision at an overlap of 0.75",
            place="headline",
        ),
        *_list_sizes(),
        *_list_recalls(),
        FigureKind(
            "f1", "F1", "of precision and recall of the boxes that reach the threshold", place="headline"
        ),
        FigureKind("precision", "Precision", "share of boxes that reach the threshold and are correct"),
        FigureKind("recall", "Recall", "share of objects found by boxes that reach the threshold"),
        FigureKind("best_f1", "Best F1", "F1 with the threshold that is best here", place="report"),
        *_list_errors(),
        FigureKind("examples", "Pictures", "measured", form="count"),
        FigureKind("boxes", "Objects", "in them", form="count"),
    ),
    ("ap", "ap50", "precision", "recall", "f1"),
)
"""`kerasft.metrics.detection`. The threshold is the model's."""
