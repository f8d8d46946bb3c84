"""Short articles, stories, letters and dialogues in English: a corpus without labels that comes with the package."""

from __future__ import annotations

from pathlib import Path

from kerasft.samples.folders import write_files

_SOURCE = Path(__file__).with_name("articles")


def write_articles(folder: str | Path) -> bool:
    """Writes one `.txt` file an article, in UTF-8, with blank lines between paragraphs; whole or not at all.

    Args:
        folder: new or empty, or one that holds exactly what would be written.

    Returns:
        Whether anything was written; False where all of it stood there.

    Raises:
        ConfigError: something else stands at `folder`.
        StorageError: it cannot be written; `folder` is as it was.
    """
    contents = {path.name: path.read_bytes() for path in sorted(_SOURCE.glob("*.txt"))}
    return write_files(Path(folder), "articles", contents)
