"""SHA-256 of the files that a later step depends on: recorded when they are written, compared when they are opened.

A folder's record is its `hashes.json`:

    {"format": 1, "sha256": of the rest, "files": {"model.keras": {"bytes": 91234, "sha256": "…"}, …}}

A folder that is written whole (a dataset, a preset, an export) holds a record of all its files, so that it can be
checked wherever it is copied to. A folder whose files are written one by one (the run folder) has a record of those.
Such a file's new hash is recorded before the file takes its place, beside the one before: a process that is killed
between the two leaves a file of either hash, and neither is damage.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from kerasft.errors import DamagedError
from kerasft.files import whole_file, write_text
from kerasft.json_values import parse_json
from kerasft.printable import format_json
from kerasft.untrusted import open_plain, read_bytes

HASHES = "hashes.json"
FORMAT = 1
MAX_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20

_FIX = (
    "Restore it from a copy; or remove it: then nothing beside it is checked until the command that made it is "
    "given again."
)
_writing = threading.RLock()


@dataclass(frozen=True)
class Hash:
    """A file's size and digest.

    Attributes:
        size_bytes: of the file.
        sha256: of its bytes, 64 hexadecimal digits.
    """

    size_bytes: int
    sha256: str

    def describe_difference(self, found: Hash) -> str:
        """Why another file is not this one, in words."""
        if found.size_bytes != self.size_bytes:
            return f"it has {found.size_bytes:,} bytes, {self.size_bytes:,} were written"
        return "it differs from what was written (SHA-256)"


@dataclass(frozen=True)
class Recorded:
    """What is known of a file.

    Attributes:
        now: its hash.
        replaced: while it is being replaced, the hash of the one before; None otherwise.
        is_new: whether it is being written for the first time, and may be missing yet.
    """

    now: Hash
    replaced: Hash | None = None
    is_new: bool = False

    def find_damage(self, found: Hash) -> str | None:
        """What is wrong with the file that was found, in words; None where it is one that was written."""
        return None if found in (self.now, self.replaced) else self.now.describe_difference(found)


Hashes = dict[str, Recorded]
"""Path in the folder, with `/` → what is known of it."""


def hash_file(path: Path, *, follow_links: bool = False) -> Hash:
    """A file's hash; memory does not grow with the file. For `follow_links` see `kerasft.damage.check_folder`.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is no plain file.
    """
    with open_plain(path, follow_links=follow_links) as file:
        digest = hashlib.sha256()
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
        return Hash(os.fstat(file.fileno()).st_size, digest.hexdigest())


def hash_bytes(content: bytes) -> Hash:
    """The hash of a file with this content."""
    return Hash(len(content), hashlib.sha256(content).hexdigest())


# --- the record -----------------------------------------------------------------------------------------------


def read_hashes(folder: Path, *, follow_links: bool = False) -> Hashes | None:
    """A folder's record; None where it has none, as those of older versions have not.

    For `follow_links` see `kerasft.damage.check_folder`.

    Raises:
        DamagedError: it is not as it was written.
    """
    path = folder / HASHES
    try:
        content = read_bytes(
            path, max_bytes=MAX_BYTES, error=DamagedError, fix=_FIX, follow_links=follow_links
        )
    except FileNotFoundError:
        return None
    try:
        found = parse_json(content, _AnyFormat)["format"]
        if found > FORMAT:
            raise DamagedError(
                f"the record of hashes has format {found}, written by a newer kerasft; this one reads {FORMAT}",
                where=str(path),
                fix=f"Update kerasft. (If no newer version was used here, the record is damaged.) {_FIX}",
            )
        hashes = _parse(parse_json(content, _Record))
        damaged = _format(hashes).encode() != content
    except ValueError:
        damaged = True
    if damaged:
        raise DamagedError("the record of hashes is not as it was written", where=str(path), fix=_FIX)
    return hashes


class _AnyFormat(pydantic.BaseModel):
    format: int


class _Written(pydantic.BaseModel):
    bytes: int
    sha256: str


class _Entry(_Written):
    replaces: _Written | None = None
    is_new: bool = False


class _Record(_AnyFormat):
    sha256: str
    files: dict[str, _Entry]


def _parse(record: Mapping[str, Any]) -> Hashes:
    def parse_hash(entry: Mapping[str, Any]) -> Hash:
        return Hash(entry["bytes"], entry["sha256"])

    hashes: Hashes = {}
    for name, entry in record["files"].items():
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name} lies outside the folder")
        replaced = entry.get("replaces")
        is_new = entry.get("is_new", False)
        hashes[name] = Recorded(parse_hash(entry), parse_hash(replaced) if replaced else None, is_new)
    return hashes


def _format(hashes: Hashes) -> str:
    """The record's text, the same for the same hashes: any other text is damaged."""

    def describe(value: Hash) -> dict[str, Any]:
        return {"bytes": value.size_bytes, "sha256": value.sha256}

    files = {}
    for name, recorded in sorted(hashes.items()):
        files[name] = describe(recorded.now)
        if recorded.replaced is not None:
            files[name]["replaces"] = describe(recorded.replaced)
        if recorded.is_new:
            files[name]["is_new"] = True
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return json.dumps({"format": FORMAT, "sha256": digest, "files": files}, indent=1) + "\n"


def _update(folder: Path, changes: Mapping[str, Recorded | None]) -> None:
    """Puts entries in place of what stood there for these files; None takes one away."""
    hashes = {**(read_hashes(folder) or {}), **changes}
    kept = {name: recorded for name, recorded in hashes.items() if recorded is not None}
    write_text(folder / HASHES, _format(kept))


# --- writing --------------------------------------------------------------------------------------------------


def list_files(folder: Path) -> list[str]:
    """The files in and below a folder, links not followed, by their paths in it; its record is left out."""
    found = []
    for place, _, names in os.walk(folder):
        found += [Path(place, name).relative_to(folder).as_posix() for name in names]
    return sorted(name for name in found if name != HASHES)


def write_hashes(folder: Path) -> None:
    """Records every file in and below a folder: the last thing to be done before a whole folder takes its place."""
    hashes = {name: Recorded(hash_file(folder / name)) for name in list_files(folder)}
    write_text(folder / HASHES, _format(hashes))


@contextmanager
def recorded_file(folder: Path, path: Path) -> Iterator[Path]:
    """`whole_file(path)` for a file in or below `folder`, whose hash is recorded there.

    Raises:
        StorageError: it cannot be written; `path` is as it was.
        DamagedError: the folder's record is.
    """
    name = path.relative_to(folder).as_posix()
    done: Recorded | None = None

    def announce(temporary: Path) -> None:
        nonlocal done
        done = Recorded(hash_file(temporary))
        with _writing:
            before = (read_hashes(folder) or {}).get(name)
            replaced = before.now if before is not None else None
            if before is not None and before.replaced is not None and path.exists():
                found = hash_file(path)  # its replacement was cut off: either may stand there
                replaced = found if before.find_damage(found) is None else replaced
            is_new = not os.path.lexists(path)
            _update(folder, {name: Recorded(done.now, replaced, is_new)})

    with whole_file(path, before_replacing=announce) as temporary:
        yield temporary
    with _writing:
        _update(folder, {name: done})


def write_recorded_text(folder: Path, path: Path, text: str) -> None:
    """Writes UTF-8 text whole or not at all, and records its hash; see `recorded_file`."""
    with recorded_file(folder, path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_recorded_json(folder: Path, path: Path, value: Any) -> None:
    """Writes indented JSON (NaN refused) whole or not at all, and records its hash; see `recorded_file`."""
    text = format_json(value, indent=2, allow_nan=False) + "\n"
    write_recorded_text(folder, path, text)


def record_files(folder: Path, paths: Iterable[Path]) -> None:
    """Records files that were appended to, now that they grow no more."""
    changes = {path.relative_to(folder).as_posix(): Recorded(hash_file(path)) for path in paths}
    if changes:
        with _writing:
            _update(folder, changes)


def forget_files(folder: Path, paths: Iterable[Path]) -> None:
    """Takes files, and all below folders, out of the record: before they are removed, or appended to.

    Raises:
        DamagedError: the record is.
    """
    places = [path.relative_to(folder).as_posix() for path in paths]
    with _writing:
        known = read_hashes(folder) or {}
        gone = [name for name in known for place in places if name == place or name.startswith(f"{place}/")]
        if gone:
            _update(folder, dict.fromkeys(gone))
