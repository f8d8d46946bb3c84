"""What is wrong where train is too small to split validation or test off from it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from kerasft.data.config import ConllSource, Source, TextSource
from kerasft.data.prepare.reading import SplitCounts
from kerasft.data.store import Payloads
from kerasft.errors import DataError

_FEW_SENTENCES, _LONG_SENTENCE = 4, 100
"""So few of so many words lack the empty lines between them."""


def check_not_empty(
    splits: np.ndarray, present: Mapping[str, int], counts: Mapping[str, SplitCounts], parts: Container[str]
) -> None:
    """Looks whether dropping rows and taking parts of train left an empty split.

    Args:
        splits: uint8 (rows,), each row's split.
        present: the splits' names and numbers.
        counts: split → what came of its files.
        parts: the splits that are parts of train's files.

    Raises:
        DataError: it did.
    """
    for name, number in present.items():
        if (splits == number).any() or (name not in counts and name not in parts):
            continue
        if name in parts:
            raise DataError(
                f"The part of train's {counts['train'].accepted:,} rows that is to be {name} holds none.",
                where=f"data.{name}",
                fix="Raise its share, or set documents: false.",
            )
        raise DataError(
            f"Nothing is left of {name}: all of its {counts[name].accepted:,} rows were dropped, or taken for other "
            "splits.",
            where="data",
            fix="Name more files, or drop less: data.duplicates: keep, or no data.decontaminate.",
        )


def refuse_cut(
    split: str, different: int, rows: int, noun: str, labels: int, source: Source | None, cut: Sequence[str]
) -> None:
    """Says that train is too small.

    Args:
        split: the one that would be empty.
        different: different texts of train.
        rows: its rows.
        noun: what messages call an example.
        labels: how many labels there are.
        source: train's.
        cut: the splits that are to be split off.

    Raises:
        DataError: always.
    """
    shares = " and ".join(f"data.{name}_share: 0" for name in cut)
    with_labels = f" with {labels:,} labels" if labels else ""
    wanted = "at least 3 of each label, and some 50" if labels else "some 50"
    fix = (
        f"Add rows: {wanted} to learn from. Or name files under data.{split}; to go on without, set {shares}."
    )
    if isinstance(source, TextSource) and source.document == "file":
        fix = (
            f"Set data.train.document: paragraph or line; or take {split} from the end of the files, "
            f"data.{split}: {{from: train, last: 0.1}}; to go on without, set {shares}."
        )
    raise DataError(
        f"train has too few different {noun}s to cut {split} from it: {different:,}, in {rows:,} rows{with_labels}.",
        where="data",
        fix=fix,
    )


def check_sentences(source: Source | None, texts: Payloads, rows: int, file: str) -> None:
    """Looks whether train is too small for a cut because its sentences are not parted.

    Args:
        source: train's.
        texts: the first input of all rows, which begin with train's.
        rows: those of train.
        file: train's first.

    Raises:
        DataError: they are not.
    """
    if not isinstance(source, ConllSource) or rows > _FEW_SENTENCES:
        return
    sentences = [payload.partition(b"\0")[0] for payload in texts.read_payloads(range(rows))]
    words = max(len(text.split()) for text in sentences)
    if words < _LONG_SENTENCE:
        return
    sentences_read = "one sentence" if rows == 1 else f"{rows} sentences, the longest"
    raise DataError(
        f"train is {sentences_read} of {words:,} words, too few to split: the empty lines between "
        "its sentences seem to be missing.",
        where=file,
        fix="Put an empty line after each sentence.",
    )
