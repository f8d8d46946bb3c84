"""Tags of words (NER, chunking, POS): what a tag says, spans from tags and tags from spans, legal sequences.

A tag is a letter and a type, `B-PER`, or `O`. A span is (first word, word after the last, type). Five schemes:

    IOB2     B-X begins an entity, I-X goes on with it
    IOB1     I-X begins one too; B-X stands only where an entity follows another of its type at once
    BIOES    as IOB2, but E-X ends an entity of several words, and S-X is one of a single word
    IO       no letters, `PER`: neighbouring words of one type are one entity; `I-PER` says the same
    plain    no letters (POS): each word is a span of its own, whose type is the tag

BIOES is read in its other spellings too, L for E (BILOU), U or W for S, and M for I (BMES); it is written as BIOES.
A letter alone (`B`) is of the type `_`. `O`, `_` and `-X-` (of a -DOCSTART- line) mark words outside of all spans,
in plain tags as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from kerasft.errors import DataError

Scheme = Literal["IOB1", "IOB2", "BIOES", "IO", "plain"]
"""How tags mark entities; the module says which is which."""
Span = tuple[int, int, str]
"""(first word, word after the last, type)."""
Fault = tuple[int, str]
"""(word, what is wrong with its tag)."""

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
OUTSIDE = "O"
OUTSIDE_TAGS = frozenset({OUTSIDE, "_", "-X-"})
UNTYPED = "_"
"""The type of a tag that is a letter alone."""
_LETTERS = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I", "W": "S"}
_LETTERS_OF: dict[str, str] = {"IOB1": "OBI", "IOB2": "OBI", "BIOES": "OBIES"}


@lru_cache(maxsize=1 << 16)
def split_tag(tag: str) -> tuple[str, str] | None:
    """A tag's letter, O, B, I, E or S whatever the spelling, and its type; None for a tag without a letter.

    The type of what is outside is empty.
    """
    if tag in OUTSIDE_TAGS:
        return OUTSIDE, ""
    letter = _LETTERS.get(tag[:1])
    if letter is None or tag[1:2] not in ("", "-"):
        return None
    return letter, tag[2:] or UNTYPED


def find_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans that tags mark, in order; broken sequences are read as well.

    Legal or broken, tags with letters are read by one rule, whichever the scheme:

        A span begins at B and S, and at an I or E that has no span of its type to go on with.
        It ends after E and S, and before whatever does not go on with it.

    This is conlleval's reading, and that of seqeval by default; `find_faults` tells what is broken. A tag that has
    no letter where it should have one is read as O.

    Args:
        tags: one a word.
        scheme: theirs.

    Raises:
        ValueError: there is no such scheme.

    Source: Tjong Kim Sang and Buchholz 2000, CoNLL-2000 (its script conlleval).
    """
    _check_scheme(scheme)
    if scheme == "plain":
        return [(word, word + 1, tag) for word, tag in enumerate(tags) if tag not in OUTSIDE_TAGS]
    spans: list[Span] = []
    start, open_type = 0, ""  # no type: no span is open
    for word, tag in enumerate(tags):
        letter, type_name = _split_io(tag) if scheme == "IO" else split_tag(tag) or (OUTSIDE, "")
        goes_on = letter in "IE" and type_name == open_type
        if open_type and not goes_on:
            spans.append((start, word, open_type))
        if not goes_on:
            start, open_type = word, type_name
        if letter in "ES":
            spans.append((start, word + 1, type_name))
            open_type = ""
    if open_type:
        spans.append((start, len(tags), open_type))
    return spans


def _split_io(tag: str) -> tuple[str, str]:
    """I or O and the type; any tag that is not outside is inside of an entity of its type."""
    parts = split_tag(tag)
    if parts is None or (parts[0] != OUTSIDE and len(tag) < 3):  # no letter, or a type of one letter
        return "I", tag
    return (OUTSIDE if parts[0] == OUTSIDE else "I"), parts[1]


def _begins_or_ends(tag: str) -> bool:
    """Whether a tag has one of the letters that IO does without, and a type."""
    parts = split_tag(tag)
    return parts is not None and parts[0] in "BES" and len(tag) > 2


def find_faults(tags: Sequence[str], scheme: Scheme) -> list[Fault]:
    """Where tags break their scheme, in order: a tag that is none of it, or may not stand after the one before.

    Plain tags are never broken.

    Args:
        tags: one a word.
        scheme: theirs.

    Returns:
        (word, what): `(3, "I-PER after O")`, `(0, "I-PER at the beginning")`, `(7, "B-PER at the end")`,
        `(2, "E-PER is not a tag of IOB2")`.

    Raises:
        ValueError: there is no such scheme.
    """
    _check_scheme(scheme)
    if scheme == "plain":
        return []
    if scheme == "IO":
        return [(word, f"{tag} is not a tag of IO") for word, tag in enumerate(tags) if _begins_or_ends(tag)]
    faults: list[Fault] = []
    before: tuple[str, str] | None = None
    for word, tag in enumerate(tags):
        parts = split_tag(tag)
        if parts is None or parts[0] not in _LETTERS_OF[scheme]:
            faults.append((word, f"{tag} is not a tag of {scheme}"))
        elif not _may_follow(before, parts, scheme):
            faults.append((word, f"{tag} after {tags[word - 1]}" if word else f"{tag} at the beginning"))
        before = parts or (OUTSIDE, "")
    if not _may_follow(before, None, scheme):
        faults.append((len(tags) - 1, f"{tags[-1]} at the end"))
    return faults


def _may_follow(before: tuple[str, str] | None, after: tuple[str, str] | None, scheme: str) -> bool:
    """Whether a tag may stand after another; None before the first word and after the last."""
    letter_before, type_before = before or (OUTSIDE, "")
    letter, type_name = after or (OUTSIDE, "")
    joined = letter_before in "BI" and type_before == type_name
    if scheme == "IOB1":
        return letter != "B" or joined
    if scheme == "IOB2":
        return letter != "I" or joined
    if scheme == "BIOES":
        # Inside of an entity only what goes on with it may follow, and that nowhere else.
        return joined if letter in "IE" else letter_before not in "BI"
    return True


def write_tags(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of spans: what `find_spans` reads back as them.

    Args:
        spans: in any order.
        length: number of words.
        scheme: of the tags.

    Returns:
        One tag a word.

    Raises:
        ValueError: there is no such scheme, or a span is empty, has no type or leaves the words.
        DataError: spans overlap, one of several words is to become plain tags, or two of one type that touch IO tags.
    """
    _check_scheme(scheme)
    tags = [OUTSIDE] * length
    end_before, type_before = 0, ""
    for start, end, type_name in sorted(spans):
        if not (0 <= start < end <= length and type_name):
            raise ValueError(f"The span {(start, end, type_name)} is none of {length} words.")
        if start < end_before:
            raise DataError(
                f"Entities overlap: the {type_name} of words {start} to {end - 1} begins inside of a {type_before}.",
                fix="A word has one tag, so that entities must not share words: keep one of the two.",
            )
        if scheme == "plain":
            if end - start > 1 or type_name in OUTSIDE_TAGS:
                raise DataError(
                    f"The {type_name} of words {start} to {end - 1} cannot be written in plain tags.",
                    fix="Plain tags give each word its own type: name IOB2 or BIOES for entities.",
                )
            tags[start] = type_name
        elif scheme == "IO":
            if type_name in OUTSIDE_TAGS or (start == end_before and type_name == type_before):
                raise DataError(
                    f"The {type_name} of words {start} to {end - 1} cannot be written in IO tags.",
                    fix="IO joins neighbouring words of one type: name IOB2 or BIOES.",
                )
            tags[start:end] = [type_name] * (end - start)
        else:
            touches = start == end_before and type_name == type_before
            letters = _spell(end - start, scheme, touches)
            tags[start:end] = [f"{letter}-{type_name}" for letter in letters]
        end_before, type_before = end, type_name
    return tags


def _spell(words: int, scheme: str, touches: bool) -> str:
    """The letters of one span; `touches` where another of its type ends right before it."""
    if scheme == "IOB1":
        return ("B" if touches else "I") + "I" * (words - 1)
    if scheme == "IOB2":
        return "B" + "I" * (words - 1)
    return "S" if words == 1 else "B" + "I" * (words - 2) + "E"


def convert_tags(tags: Sequence[str], source: Scheme, target: Scheme) -> list[str]:
    """Tags of one scheme as tags of another, mended by `find_spans`' rule where they are broken.

    Raises:
        ValueError: there is no such scheme.
        DataError: see `write_tags`.
    """
    return write_tags(find_spans(tags, source), len(tags), target)


def list_tags(types: Sequence[str], scheme: Scheme) -> list[str]:
    """All tags of a scheme: `O`, then each type's in the order of its letters; plain tags are the types alone.

        list_tags(["PER", "LOC"], "IOB2") == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
        list_tags(["PER", "LOC"], "IO") == ["O", "PER", "LOC"]

    Raises:
        ValueError: there is no such scheme.
    """
    _check_scheme(scheme)
    if scheme == "plain":
        return list(types)
    if scheme == "IO":
        return [OUTSIDE, *types]
    return [OUTSIDE, *(f"{letter}-{name}" for name in types for letter in _LETTERS_OF[scheme][1:])]


@dataclass(frozen=True, kw_only=True)
class TagRules:
    """Which tags may follow which.

    Attributes:
        follows: bool (tags, tags); [i, j] says whether tag j may stand right after tag i.
        starts: bool (tags,), whether a text may begin with the tag.
        ends: bool (tags,), whether it may end with it.
    """

    follows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def build_tag_rules(tags: Sequence[str], scheme: Scheme) -> TagRules:
    """The rules of a scheme for a model's tags: sequences that keep them are those in which `find_faults` finds none.

    Args:
        tags: a model's classes, in order.
        scheme: theirs.

    Raises:
        ValueError: there is no such scheme, or a tag is none of it.
    """
    _check_scheme(scheme)
    parts = [split_tag(tag) for tag in tags]
    if scheme in _LETTERS_OF:
        strange = [
            t for t, part in zip(tags, parts, strict=True) if not part or part[0] not in _LETTERS_OF[scheme]
        ]
        if strange:
            raise ValueError(f"{', '.join(strange)}: not tags of {scheme}.")
    return TagRules(
        follows=np.array([[_may_follow(i, j, scheme) for j in parts] for i in parts], bool),
        starts=np.array([_may_follow(None, part, scheme) for part in parts], bool),
        ends=np.array([_may_follow(part, None, scheme) for part in parts], bool),
    )


def _check_scheme(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ValueError(f"The scheme {scheme!r} is none of {', '.join(SCHEMES)}.")
