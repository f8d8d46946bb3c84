"""Checks that train has labels to learn from; if not, finds out why and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kerasft.data.config import ImageFolderSource, Source, TfdsSource
from kerasft.data.sources.paths import SourceFile, list_folders
from kerasft.errors import DataError


def check_train_labels(
    counts: dict[str, int],
    part: str,
    source: Source | None,
    files: Sequence[SourceFile],
    label_column: object = "label",
) -> None:
    """Looks whether what the files of train hold can be learned from.

    Args:
        counts: label → rows of train, before anything is cut or dropped.
        part: what has labels inside of an example, "entity" or "box"; empty where an example has one as a whole.
        source: train's, as the config says.
        files: train's.
        label_column: where the label stands, of a table.

    Raises:
        DataError: they hold no label, or one alone.
    """
    present = [name for name, count in counts.items() if count]
    if len(present) >= (1 if part else 2):
        return
    if part == "entity":
        what = "No row of train has an entity."
        fix = "Check which columns hold the words and their tags, or the entities."
    elif part:
        what = f"No row of train has a {part} with a label."
        fix = f"Check which column holds them, and which key contains the label of a {part}."
    elif not present:
        what, fix = "No row of train has a label.", _describe_column(source, label_column)
    elif isinstance(source, ImageFolderSource):
        what, fix = _describe_folders(present[0], files)
    else:
        what = f"All rows of train have one label, {present[0]!r}."
        fix = f"A classifier needs examples of at least two labels: {_describe_column(source, label_column)}"
    raise DataError(what, where="data.train", fix=fix)


def _describe_column(source: Source | None, column: object) -> str:
    part = ", or to read more of the dataset (split)" if isinstance(source, TfdsSource) else ""
    return (
        f"add rows of others{part}; or, if {column!r} is not the column that holds the label, set data.train's "
        "columns: {label: …}."
    )


def _describe_folders(label: str, files: Sequence[SourceFile]) -> tuple[str, str]:
    """What to say of pictures that are of one class."""
    names = [folder.name for file in files for folder in list_folders(file.path)]
    places = " and ".join(file.name for file in files)
    empty = [name for name in dict.fromkeys(names) if name != label]
    fix = (
        "A classifier needs pictures of at least two classes: put those of each into a folder with its name, "
        f"{files[0].name}/{label}/1.jpg and {files[0].name}/OTHER/2.jpg."
    )
    if empty:
        shown = ", ".join(map(repr, empty[:5]))
        return (
            f"The only class folder in {places} with pictures in it is {label!r}; there is none in {shown}.",
            fix,
        )
    inner = [folder.name for file in files for folder in list_folders(Path(file.path, label))]
    if len(inner) > 1:
        shown = ", ".join(inner[:5]) + ", …" * (len(inner) > 5)
        fix = f"If these are the classes, set data.train's path: {files[0].name}/{label}"
        return f"The only class folder in {places} is {label!r}, which holds the folders {shown}.", fix
    return f"The only class folder in {places} is {label!r}.", fix


def check_kept_labels(
    read: dict[str, int], kept: dict[str, int], part: str, cut: Sequence[str], policy: str
) -> None:
    """Looks whether train can still be learned from when other splits were cut from it, or leaks dropped.

    Args:
        read: label → rows of train's files.
        kept: label → rows that are left in train.
        part: see `check_train_labels`.
        cut: the splits that were cut from train.
        policy: `data.leaks`.

    Raises:
        DataError: fewer than two labels are left; of entities, none.
    """
    present = [name for name, count in kept.items() if count]
    if len(present) >= (1 if part else 2):
        return
    deeds, ways = [], ["Add rows"]
    if cut:
        deeds.append(f"{' and '.join(cut)} {'were' if len(cut) > 1 else 'was'} cut")
        names = " and ".join(f"data.{name}" for name in cut)
        shares = " and ".join(f"data.{name}_share: 0" for name in cut)
        ways += [f"name files under {names}", f"to go on without, set {shares}"]
    if policy == "drop":
        deeds.append("the rows that are also in another split were dropped")
        ways.append("set data.leaks: warn")
    left = f"only {present[0]!r} is" if present else f"no {part or 'label'} is"
    counted = ", ".join(
        f"{count:,} {name!r}" for name, count in sorted(read.items(), key=lambda one: -one[1])[:5]
    )
    what = f"After {' and '.join(deeds)}, {left} left in train; its files have {counted}."
    raise DataError(what, where="data.train", fix=f"{'; or '.join(ways)}.")
