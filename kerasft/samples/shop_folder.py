"""Short product texts of an imagined shop, each with the note that it is made of: prompts and completions.

Their style: README.md in the folder `shop_texts`.
"""

from __future__ import annotations

from pathlib import Path

from kerasft.samples.folders import write_files

SHOP_SPLITS = ("train", "validation", "test")
SHOP_FILES = tuple(f"{split}.jsonl" for split in SHOP_SPLITS)

_SOURCE = Path(__file__).with_name("shop_texts")


def write_shop_texts(folder: str | Path) -> bool:
    """Writes `<split>.jsonl`; whole or not at all.

    A line is a thing for sale: its `prompt`, what a clerk notes of it, and its `completion`, the text for the shop,
    which begins with a line break.

    Args:
        folder: new or empty, or one that holds exactly what would be written.

    Returns:
        Whether anything was written; False where all of it stood there.

    Raises:
        ConfigError: something else stands at `folder`.
        StorageError: it cannot be written; `folder` is as it was.
    """
    contents = {name: (_SOURCE / name).read_bytes() for name in SHOP_FILES}
    return write_files(Path(folder), "shop texts", contents)
