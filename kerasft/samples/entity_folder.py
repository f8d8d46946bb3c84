"""Sentences with people, places, organisations and products, as the files that come with the package.

How they are annotated: README.md in the folder `entities`.
"""

from __future__ import annotations

from pathlib import Path

from kerasft.samples.folders import write_files

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
    contents = {name: (_SOURCE / name).read_bytes() for name in ENTITY_FILES}
    return write_files(Path(folder), "sentences", contents)
