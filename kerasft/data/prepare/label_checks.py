"""Checks of labels before a dataset is published: too few, unbalanced, or probably not class names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from kerasft.errors import DataError
from kerasft.progress import Progress

FEW_ROWS = 10
"""Of a label in train: what is measured on its share of a test split says next to nothing."""
_FEWEST_ROWS = 6
"""From how many rows on text and label can be recognised as swapped."""
SMALL_SPLIT = 30
"""Rows of a validation or test split, below which figures on it mean little."""
_MISSING = frozenset(("nan", "none", "null", "nil", "na", "n/a", "#n/a", "<na>", "nat", "?", "-"))
_SHOWN_CHARACTERS = 50
_JOINTS = ";|,/"
_MANY_NUMBERS, _MANY_FRACTIONS = 20, 5
"""From how many different numbers labels look like measurements; fewer where some have a fraction."""


def check_labels(counts: dict[str, dict[str, int]], progress: Progress, classified: bool = True) -> None:
    """Looks at each split's label counts; train has labels, see `kerasft.data.prepare.train_labels`.

    Args:
        counts: split → label → rows.
        progress: where what is odd is reported.
        classified: whether a label is that of a whole example.
    """
    train = counts.get("train")
    present = [name for name, count in train.items() if count] if train else []
    for split, labels in counts.items():
        missing = [name for name, count in labels.items() if not count]
        if missing:
            progress.warn(f"{split} has no rows of {_enumerate(missing)}.")
    if train:
        least, most = min(present, key=train.__getitem__), max(present, key=train.__getitem__)
        if train[most] >= 20 * train[least]:
            progress.warn(
                f"train is unbalanced: {train[most]:,} row{'s' * (train[most] > 1)} of {most!r}, "
                f"{train[least]:,} of {least!r}; "
                "look at macro F1 as well as accuracy."
            )
    if train and classified:
        _warn_of_few(counts, progress)
    folded: dict[str, str] = {}
    for name in next(iter(counts.values()), {}):
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            progress.warn(f"The labels {twin!r} and {name!r} differ only in case.")


def _warn_of_few(counts: dict[str, dict[str, int]], progress: Progress) -> None:
    few = {name: count for name, count in counts["train"].items() if 0 < count < FEW_ROWS}
    if few:
        shown = ", ".join(f"{count:,} of {name!r}" for name, count in list(few.items())[:3])
        more = f" and equally few of {len(few) - 3:,} more labels" if len(few) > 3 else ""
        progress.warn(
            f"train has {shown}{more}: too few rows to learn a class; aim for about 50 rows a class."
        )
    rows = {split: sum(labels.values()) for split, labels in counts.items() if split != "train"}
    small = {split: count for split, count in rows.items() if 0 < count < SMALL_SPLIT}
    if small:
        smallest = min(small, key=small.__getitem__)
        sizes = " and ".join(
            f"{split} has {count:,} row{'s' * (count > 1)}" for split, count in small.items()
        )
        progress.warn(
            f"{sizes}: figures on so few rows say little; one more correct answer changes accuracy by "
            f"{1 / small[smallest]:.0%}. Add rows, or name a larger file under data.{smallest}."
        )


def _enumerate(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more labels" if len(names) > 5 else shown


def warn_of_odd_labels(counts: dict[str, int], progress: Progress, noun: str, several: bool) -> None:
    """Says what labels look like where they hardly are names of classes.

    Args:
        counts: of train, label → rows.
        progress: where it is reported.
        noun: what an example holds.
        several: whether an example may have several labels.
    """
    for name, count in counts.items():
        if name.casefold() in _MISSING and len(counts) > 1:
            progress.warn(
                f"The label {name!r} ({count:,} row{'s' * (count > 1)} of train) looks like a missing value, "
                "but is learned as a class. "
                "If it is one, take these rows out; or list the real classes alone in task.labels, and set "
                f"data.max_rejected: {math.ceil(20 * count / sum(counts.values())) / 20:g}, so that they are rejected."
            )
    if joint := find_joint(list(counts)):
        shown = next(name for name in counts if joint in name.strip(joint))
        ways = (
            "Write | between them."
            if several
            else "Keep one of them, or set task.multi_label: true and write | between them."
            if noun == "picture"
            else f"{noun.capitalize()}s with several labels are not supported: each combination is learned as a class "
            f"of its own. Keep one label a {noun}."
        )
        progress.warn(f"Labels such as {shown!r} look like several labels joined by {joint!r}. {ways}")
    if _are_measurements(list(counts)):
        progress.warn(
            f"{len(counts):,} different numbers as labels look like measurements (a regression): each is learned "
            "as a separate class. If they are measurements, group them into a few classes first "
            "(low, middle, high); if each number is a class, ignore this."
        )


def _are_measurements(names: Sequence[str]) -> bool:
    """Whether labels are so many different numbers that they hardly number classes."""
    numbers = [number for number in map(_read_number, names) if number is not None]
    fractions = any(number != math.floor(number) for number in numbers)
    return len(numbers) == len(names) > (_MANY_FRACTIONS if fractions else _MANY_NUMBERS)


def find_joint(names: Sequence[str]) -> str:
    """What several labels in one are joined by; empty where none are.

    It is `;`, `|`, `,` or `/`, where two labels or more have it inside, and most of the parts around it stand in
    other labels as well: `red;round` beside `red` or `green;round`, but not `Paris, France` beside `Rome, Italy`.
    """
    for joint in _JOINTS:
        parts = [[part.strip() for part in name.split(joint)] for name in names]
        joined = [each for each in parts if len(each) > 1 and all(each)]
        if len(joined) < 2:
            continue
        stands_in = Counter(part for each in parts for part in set(each))
        shared = [stands_in[part] > 1 for each in joined for part in each]
        if sum(shared) * 2 > len(shared):
            return joint
    return ""


def _read_number(name: str) -> float | None:
    try:
        number = float(name)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def check_roles(
    names: Sequence[str], rows: int, texts: int, example: str, columns: dict[str, object], noun: str
) -> None:
    """Looks whether the labels of train are labels at all.

    Args:
        names: the different labels.
        rows: of train.
        texts: how many different texts (or pictures) they hold.
        example: one of them; empty of pictures.
        columns: which column holds which of the task's fields, as the config says or by default.
        noun: what an example holds.

    Raises:
        DataError: text and label are swapped, or nearly every row has a label of its own.
    """
    if rows < _FEWEST_ROWS or 2 * len(names) <= rows:
        return
    shown = names[0] if len(names[0]) <= _SHOWN_CHARACTERS else f"{names[0][:_SHOWN_CHARACTERS]}…"
    longer = sum(map(len, names)) > len(example) * len(names)
    if example and longer and 3 * texts <= len(names):
        (text, text_column), (label, label_column) = columns.items()
        raise DataError(
            f"{text} and {label} seem to be swapped: train has {len(names):,} different labels, as {shown!r}, and "
            f"{texts:,} different {noun}s, as {example!r}.",
            where="data.train",
            fix=f"Set columns: {{{text}: {label_column}, {label}: {text_column}}}, in every split.",
        )
    if 10 * len(names) >= 9 * rows and rows >= 2 * FEW_ROWS:
        raise DataError(
            f"Nearly every row of train has a different label: {len(names):,} different ones in {rows:,} rows, as "
            f"{shown!r}.",
            where="data.train",
            fix="Set columns: {label: …} to the column that holds the classes."
            + (
                " If these numbers are measurements (a regression), which no task of kerasft learns, group them "
                "into a few classes first (low, middle, high)."
                if _are_measurements(names)
                else ""
            ),
        )
