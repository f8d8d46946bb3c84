"""Detects the tagging scheme of a corpus from its tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kerasft.errors import DataError
from kerasft.text.spans.tagging_schemes import OUTSIDE, OUTSIDE_TAGS, Scheme, split_tag

_OTHER_SPELLING = re.compile(r"[BIESLUMW][-_:/|+.].+|.+[-_:/|+.][BIESLUMW]", re.IGNORECASE)
"""A letter joined to its type by something else than a hyphen (`B_PER`), after it (`PER-B`), or small (`b-PER`)."""
_OUTSIDE_SHARE = 0.25
"""Of words that are tagged O: most words are in no entity, but few are a part of speech that is called O."""
_FIX = "Write each as O or as a letter, a hyphen and a type (B-PER), or say which scheme it is."


class SchemeFinder:
    """Is fed a corpus' sequences, one by one, and then says which scheme they are in.

    1. Tags of which none is a letter and a hyphen (`B-PER`) are IO where `O` marks a quarter of the words or more
       and no tag is a punctuation mark; else plain, and each word is a span (POS). But where all of them are
       letters alone (`B`, `I`, `O`), these are the letters of a scheme.
    2. An E or S (L, U and W count as they do in `tags`): BIOES. One such tag is enough: the others have none.
    3. No entity begins with I: IOB2. So too where there is no entity at all, and where all have one word:
       IOB1 would need an I to begin with.
    4. Entities begin with I, after O or another type, and each B stands right behind an entity of its type: IOB1.
       Without any B, too.
    5. Entities begin with I, but others with a B that IOB1 has no use for: IOB2, broken.

    Memory does not grow with the corpus.
    """

    def __init__(self) -> None:
        self._sequences = 0
        self._words = self._outside = 0
        self._seen: dict[str, tuple[str, int, int]] = {}

    def feed(self, tags: Sequence[str]) -> None:
        """Looks at one sequence.

        Args:
            tags: one a word.
        """
        before = (OUTSIDE, "")
        for word, tag in enumerate(tags):
            parts = split_tag(tag)
            letter, type_name = parts or (OUTSIDE, "")
            joined = before[0] in "BI" and before[1] == type_name
            for evidence in _list_evidence(tag, parts, joined):
                self._seen.setdefault(evidence, (tag, self._sequences, word))
            before = (letter, type_name)
        self._words += len(tags)
        self._outside += tags.count(OUTSIDE)
        self._sequences += 1

    @property
    def has_tags(self) -> bool:
        """Whether it was fed a tag other than `O`."""
        return bool(self._seen)

    def find(self) -> Scheme:
        """The scheme of what was fed so far, by the rules above.

        Raises:
            DataError: some tags have letters and others have not, or all of them join letter and type in another
                way than by a hyphen.
        """
        seen = self._seen
        if "other" in seen:
            if "typed" in seen:
                raise DataError(
                    f"Some tags have a prefix, such as {self._describe('typed')}, "
                    f"and some have none, such as {self._describe('other')}.",
                    fix=_FIX,
                )
            if "plain" not in seen:
                raise DataError(f"The tag {self._describe('other')} has no known form.", fix=_FIX)
            joined = self._outside >= _OUTSIDE_SHARE * self._words and "mark" not in seen
            return "IO" if joined else "plain"
        if "closing" in seen:
            return "BIOES"
        return "IOB1" if "first I" in seen and "needless B" not in seen else "IOB2"

    def explain(self) -> str:
        """What `find`'s answer rests on, in words; raises what it raises."""
        scheme = self.find()
        if scheme == "plain":
            return f"no tag has a letter and a hyphen, as {self._describe('plain')} has none"
        if scheme == "IO":
            share = self._outside / self._words
            return f"no tag has a letter, as {self._describe('plain')} has none, and {share:.0%} of the words are O"
        if scheme == "BIOES":
            return f"{self._describe('closing')} ends an entity"
        if "first I" not in self._seen:
            return "no entity begins with I"
        if scheme == "IOB1":
            return (
                f"{self._describe('first I')} begins an entity, and B is used only after entities of its type"
            )
        return (
            f"{self._describe('needless B')} begins an entity that IOB1 would begin with I; "
            f"so {self._describe('first I')}, which begins one too, is broken"
        )

    def _describe(self, kind: str) -> str:
        tag, sequence, word = self._seen[kind]
        return f"{tag} (word {word + 1} of sequence {sequence + 1})"


def _list_evidence(tag: str, parts: tuple[str, str] | None, joined: bool) -> Iterator[str]:
    """What one tag tells; `joined` where the one before leaves an entity of its type open."""
    if tag in OUTSIDE_TAGS:
        return
    if parts is None:
        yield "other"
        if not _OTHER_SPELLING.fullmatch(tag):
            yield "plain"
        if not any(map(str.isalnum, tag)):
            yield "mark"
        return
    if len(tag) > 1:
        yield "typed"
    if parts[0] in "ES":
        yield "closing"
    elif not joined:
        yield "first I" if parts[0] == "I" else "needless B"
