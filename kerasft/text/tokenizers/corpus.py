"""The texts that a tokenizer is trained on: read as often as the training needs, never all in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kerasft.errors import ConfigError, DataError
from kerasft.progress import Progress
from kerasft.text.tokenizers.config import TokenizerConfig

PART_CHARACTERS = 16_384
"""Longer texts are handed on in parts: `tokenizers` keeps many bytes for each character of a text at work."""
_BATCH = 256


class Corpus:
    """Texts in parts of bounded length.

    Args:
        texts: if they can be read only once, as a generator's, they are copied to a file while they are read first.
        copy: where that file may stand; it is removed by `close`.
        progress: each reading has a bar of its own there.
    """

    def __init__(self, texts: Iterable[str], copy: Path, progress: Progress):
        self._texts = texts
        self._copy = copy if iter(texts) is texts else None
        self._copied = False
        self._progress = progress
        self.has_text = False
        """Whether some text that was read is not empty."""

    def read(self, purpose: str = "Training the tokenizer") -> Iterator[str]:
        """The texts' parts. One reading must reach the end before the next begins.

        Args:
            purpose: what the bar says that it is for.
        """
        count = 0
        with self._progress.bar(purpose, None, "documents") as bar:
            for text in self._read_texts():
                yield from split_text(text)
                self.has_text = self.has_text or bool(text)
                count += 1
                if count % _BATCH == 0:
                    bar.advance(_BATCH)
            bar.advance(count % _BATCH)

    def _read_texts(self) -> Iterator[str]:
        if self._copy is None:
            yield from self._texts
        elif self._copied:
            with open(self._copy, encoding="ascii") as file:
                yield from map(json.loads, file)
        else:
            with open(self._copy, "w", encoding="ascii") as file:
                for text in self._texts:
                    file.write(json.dumps(text) + "\n")
                    yield text
            self._copied = True

    def close(self) -> None:
        """Removes the copy, if there is one."""
        if self._copy is not None:
            self._copy.unlink(missing_ok=True)

    def count_characters(self, normalise: Callable[[str], str], *, spaces: bool = False) -> list[str]:
        """The characters of the normalised texts, white space only if asked for, the most frequent first.

        Raises:
            DataError: there are none.
        """
        counts: Counter[str] = Counter()
        for part in self.read("Counting characters"):
            counts.update(normalise(part))
        found = sorted((c for c in counts if spaces or not c.isspace()), key=lambda c: (-counts[c], c))
        if not found:
            raise empty_corpus()
        return found


def empty_corpus() -> DataError:
    """The error for texts that contain nothing."""
    return DataError(
        "A tokenizer cannot be trained: the texts are empty.",
        fix="Name files that contain text in the config's `data` section.",
    )


def split_text(text: str) -> Iterator[str]:
    """A text in parts of at most `PART_CHARACTERS`, cut before white space where there is some.

    What stands for no character (half of a surrogate pair) becomes a question mark.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    start = 0
    while len(text) - start > PART_CHARACTERS:
        end = start + PART_CHARACTERS
        cut = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
        cut = cut if cut > start else end
        yield text[start:cut]
        start = cut
    yield text[start:]


def keep_frequent(config: TokenizerConfig, characters: list[str]) -> list[str]:
    """The characters that get tokens, of all in the order of their frequency."""
    limit = config.max_characters
    return characters[: max(1, config.vocabulary_size // 4) if limit is None else limit]


def check_room(config: TokenizerConfig, needed: int) -> None:
    """Makes sure that a vocabulary has room for what it must contain.

    Raises:
        ConfigError: it has not.
    """
    if needed > config.vocabulary_size:
        raise ConfigError(
            f"A vocabulary of {config.vocabulary_size:,} has no room for the corpus' characters: with special tokens "
            f"they need {needed:,}.",
            where="tokenizer.vocabulary_size",
            fix="Increase vocabulary_size, or reduce max_characters: rarer characters then become unknown.",
        )
