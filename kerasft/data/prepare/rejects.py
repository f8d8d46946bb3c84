"""Stops where too many rows are rejected, and says what to do about it."""

from __future__ import annotations

from pathlib import Path

from kerasft.data.prepare.reading import SplitCounts
from kerasft.errors import DataError

_ONE_A_LINE = (
    "Write one JSON object a line (jq -c '.[]' OLD > NEW makes that of an array), or set data.SPLIT's format to what "
    "the file is."
)
_CAUSES = {
    "missing key": "Set columns: {FIELD: KEY}, next to data.SPLIT's path, to the keys that the objects have.",
    "missing text": "Set columns, next to data.SPLIT's path, to the column that holds the text.",
    "missing label": "Set columns, next to data.SPLIT's path, to the column that holds the label.",
    "missing number": "Set columns, next to data.SPLIT's path, to the column that holds the number.",
    "not a number": "Set columns, next to data.SPLIT's path, to the column that holds the number; write it with a "
    "decimal point and nothing else, 1234.5.",
    "text is not a string": "Set columns, next to data.SPLIT's path, to the column that holds the text.",
    "unknown label": "Check data.SPLIT's columns (are text and label swapped?), and write its labels as those of train "
    "or task.labels are written.",
    "wrong column count": "Set data.SPLIT's delimiter (CSV) or separator (CoNLL) to the character between columns.",
    "invalid UTF-8": "Set data.SPLIT's encoding, next to path, to that of the files.",
    "broken JSON": _ONE_A_LINE,
    "not an object": _ONE_A_LINE,
    "label is neither string nor number": "Write one string or number a row; where pictures have several labels, set "
    "task.multi_label: true.",
    "missing file": "Write paths that start from the list's own folder, or absolute ones; of annotated pictures, set "
    "images, next to data.SPLIT's path, to their folder.",
    "picture of another size": "The pictures are others than those that were annotated, or were scaled: set images, "
    "next to data.SPLIT's path, to the folder of the original ones.",
    "sides are not shares of the picture's size": "Divide x and width by the picture's width, and y and height by its "
    "height.",
    "tag is not a string": "No config key does this: replace the numbers in the file (0 → O, 1 → B-PER, …), or, in "
    "Parquet, store their names in its metadata (ClassLabel, as `datasets` writes it).",
}
"""What to do where one reason is that of nearly all rows: then it is the config, and not the rows, that is wrong."""
_NEARLY_ALL = 0.9


def _suggest(split: SplitCounts, name: str) -> str:
    (reason, count), *_ = split.rejected.most_common(1)
    nearly_all = split.share_rejected * count >= _NEARLY_ALL * split.rejected.total()
    cause = _CAUSES.get(reason) if nearly_all else None
    return (cause or "Correct them, or raise data.max_rejected.").replace("SPLIT", name)


class RejectsError(DataError):
    """Too many rows cannot be used."""


def check_rejects(counts: dict[str, SplitCounts], limit: float, rejected: Path) -> None:
    """Stops where too much of a split was rejected, or nothing is left of it.

    Raises:
        RejectsError: with counts by reason and the first few rejects.
        DataError: there are no rows at all.
    """
    for name, split in counts.items():
        total = split.accepted + split.rejected.total()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in split.rejected.most_common())
        shown = "".join(f"\n    {line}" for line in split.shown)
        if not total:
            raise DataError(
                "It contains no rows.",
                where=f"data.{name}",
                fix="Check its path, and whether header should be true or false.",
            )
        if split.share_rejected > limit or not split.accepted:
            raise RejectsError(
                f"{split.rejected.total():,} of {total:,} rows of data.{name} ({split.share_rejected:.1%}) "
                f"cannot be used, which is more than data.max_rejected ({limit:.1%}): {reasons}. The first:{shown}",
                fix=f"All are listed in {rejected}. {_suggest(split, name)}",
            )
