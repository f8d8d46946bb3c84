"""Finds the files that the arguments of `kerasft predict` name: files, folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from kerasft.errors import DataError

_FIX = "Name picture files, folders with some, or globs in quotes."


def find_files(words: Iterable[str]) -> list[str]:
    """The files that the words mean, in their order, each once.

    A folder stands for all files in it and below, sorted, without hidden ones. A file that is not there is left for its
    own answer to say.

    Raises:
        DataError: a folder holds no files, a glob matches none, none of the files is there, or a folder cannot be read.
    """
    found: dict[str, None] = {}
    for word in words:
        if os.path.isdir(word):
            matches = _list_files(word)
            problem = "It contains no files."
        elif glob.has_magic(word) and not os.path.lexists(word):
            expanded = _expand(word)
            matches = [
                path for name in expanded for path in (_list_files(name) if os.path.isdir(name) else [name])
            ]
            problem = "It matches no files."
        else:
            matches, problem = [word], ""
        if not matches:
            raise DataError(problem, where=word, fix=_FIX)
        found |= dict.fromkeys(matches)
    if not any(os.path.lexists(path) for path in found):
        others = f", nor {len(found) - 1:,} others" if len(found) > 1 else ""
        raise DataError(
            f"There is no such file{others}.",
            where=next(iter(found)),
            fix=_FIX,
        )
    return list(found)


def _expand(word: str) -> list[str]:
    from kerasft.data.sources.readable import check_globbed, refusing_unreadable

    with refusing_unreadable(Path(word)):
        check_globbed(Path(word))
        return sorted(glob.glob(word, recursive=True))


def _list_files(folder: str) -> list[str]:
    from kerasft.data.sources.paths import SourceFile, list_members

    return [str(path) for path in list_members(SourceFile(Path(folder), folder))]
