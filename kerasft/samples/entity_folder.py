"""Sentences with people, places, organisations and products, as the files that come with the package.

How they are annotated: README.md in the folder `entities`.
"""

from __future__ import annotations

from pathlib import Path

from kerasft.files import whole_folder
from kerasft.samples.folders import is_written

LANGUAGES = ("en", "zh")
SPLITS = ("train", "validation", "test")
ENTITY_TYPES = ("organisation", "person", "place", "product")
ENTITY_FILES = tuple(f"{language}.{split}.jsonl" for language in LANGUAGES for split in SPLITS)

_SOURCE = Path(__file__).with_name("entities")


def write_entities(folder: str | Path) -> bool:
    """Writes `<language>.<split>.jsonl`; whole or not at all.

    A line is a sentence: its `text`, and `entities`, a list of [start, end, type] with start and end in code points
    (the end exclusive), in order and without overlap.

    Args:
        folder: new or empty, or one that holds exactly what would be written.

    Returns:
        Whether anything was written; False where all of it stood there.

    Raises:
        ConfigError: something else stands at `folder`.
        StorageError: it cannot be written; `folder` is as it was.
    """
    folder = Path(folder)
    contents = {name: (_SOURCE / name).read_bytes() for name in ENTITY_FILES}
    if is_written(folder, "sentences", lambda: _holds(folder, contents)):
        return False
    with whole_folder(folder) as temporary:
        for name, content in contents.items():
            (temporary / name).write_bytes(content)
    return True


def _holds(folder: Path, contents: dict[str, bytes]) -> bool:
    """Whether the folder has these files, to the byte, and nothing else."""
    found = {path.name for path in folder.iterdir()}
    return found == set(contents) and all(
        (folder / name).is_file()
        and not (folder / name).is_symlink()
        and (folder / name).read_bytes() == content
        for name, content in contents.items()
    )
