"""Builds a checked text with entities from a row's parts (words and tags, or a text and spans)."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kerasft.data.kinds.fields import INVISIBLE, InvalidValue, describe_value, parse_label, parse_text
from kerasft.text.spans.tagging_schemes import OUTSIDE_TAGS, Scheme, find_faults, find_spans

NAMES = {
    "text": ("text", "sentence"),
    "words": ("words", "tokens"),
    "tags": ("tags", "ner_tags", "labels"),
    "entities": ("entities", "entity_list", "spans"),
}
"""Under which keys of a JSON object a part is looked for, in this order."""
_STARTS, _ENDS, _TYPES = (
    ("start", "begin", "start_offset"),
    ("end", "end_offset"),
    ("type", "label", "entity_type"),
)
_IDEOGRAPHS = ((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
_IDEOGRAPHIC_SHARE = 0.5

Entity = tuple[int, int, str]
"""(start, end, type), in characters; the end is the first one past it."""


class Tagged(NamedTuple):
    """A text with entities in it."""

    text: str
    words: list[tuple[int, int]]
    """(start, end) of each, in characters; none where the row has none."""
    entities: list[Entity]
    """Sorted; they do not overlap."""
    note: str = ""
    """What had to be done to it, in words that are the same for many rows."""
    mended: str = ""
    """The same, of this row."""


def pick_parts(row: Any) -> dict[str, Any]:
    """The parts that an object has, under their usual names.

    Raises:
        InvalidValue: it has no such parts.
    """
    if not isinstance(row, Mapping):
        raise InvalidValue("not an object", f"found {describe_value(row)}")
    found = {
        part: next(row[name] for name in names if name in row)
        for part, names in NAMES.items()
        if any(name in row for name in names)
    }
    if not ({"words", "tags"} <= set(found) or {"text", "entities"} <= set(found)):
        keys = ", ".join(map(str, list(row)[:10]))
        raise InvalidValue("missing key", f"needs words and tags, or text and entities; there is {keys}")
    if "entities" in found:
        found.pop("tags", None)
    return found


def read_tags(tags: Any) -> list[str]:
    """A row's tags; of several in one cell, joined by commas, the first. A comma alone, or before the first, is a tag.

    Raises:
        InvalidValue: they are no list of names.
    """
    if not isinstance(tags, list | tuple):
        raise InvalidValue("tags are not a list", f"found {describe_value(tags)}")
    for tag in tags:
        if not isinstance(tag, str):
            numbered = "; the file does not hold the names of its tags: write these, B-person and so on"
            raise InvalidValue(
                "tag is not a string",
                f"found {describe_value(tag)}{numbered if isinstance(tag, int) else ''}",
            )
    firsts = [tag.split(",", 1)[0].strip(INVISIBLE) or tag.strip(INVISIBLE) for tag in tags]
    return [tag if tag.isascii() else unicodedata.normalize("NFC", tag) for tag in firsts]


def parse_words(parts: Mapping[str, Any], scheme: Scheme, join: str) -> Tagged:
    """A text from words and their tags.

    Args:
        parts: `words` and `tags`, lists of as many strings; a `text` in which they stand, if there is one.
        scheme: of the tags.
        join: what is put between words, `space`, `nothing` or `auto`.

    Raises:
        InvalidValue: they are no such things.
    """
    words, tags = _check_words(parts)
    visible = [bool(word.strip(INVISIBLE)) for word in words]
    # a tag of an invisible word may begin an entity; outside of all it parts none
    kept = [i for i, seen in enumerate(visible) if seen or tags[i] not in OUTSIDE_TAGS]
    words, tags = [words[i].strip(INVISIBLE) for i in kept], [tags[i] for i in kept]
    left_out = [i for i, seen in enumerate(visible) if not seen]
    shown = [word for word in words if word]
    if not shown:
        raise InvalidValue("empty text", "no word has anything visible in it")
    text, places = _locate(shown, parts["text"]) if "text" in parts else _join(shown, join)
    ranks = list(itertools.accumulate(map(bool, words), initial=0))
    breaks = find_faults(tags, scheme)
    entities = [
        (places[ranks[first]][0], places[ranks[last] - 1][1], parse_label(kind))
        for first, last, kind in find_spans(tags, scheme)
        if ranks[first] < ranks[last]
    ]
    faults = [f"word {kept[place] + 1}, {words[place][:30]!r}: {what}" for place, what in breaks[:5]]
    faults += [f"word {place + 1} has nothing visible in it and is left out" for place in left_out[:5]]
    note = "broken tags" if breaks else "invisible words left out" if left_out else ""
    return Tagged(parse_text(text), places, entities, note, "; ".join(faults))


def _check_words(parts: Mapping[str, Any]) -> tuple[Sequence[str], list[str]]:
    """As many words as tags, none of them empty."""
    words, tags = parts["words"], read_tags(parts["tags"])
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise InvalidValue("words are not a list of strings", f"found {describe_value(words)}")
    if not words:
        raise InvalidValue("no words")
    if len(words) != len(tags):
        raise InvalidValue("words and tags differ in number", f"{len(words)} words, {len(tags)} tags")
    if "" in tags:
        raise InvalidValue("missing tag", f"of word {tags.index('') + 1}, {words[tags.index('')][:30]!r}")
    empty = next((number for number, word in enumerate(words, 1) if not word.strip(" \t\r\n")), None)
    if empty is not None:
        raise InvalidValue("empty word", f"word {empty}")
    return words, tags


def _join(words: Sequence[str], join: str) -> tuple[str, list[tuple[int, int]]]:
    if join == "auto":
        ideographs = sum(len(word) == 1 and _is_ideograph(word) for word in words)
        join = "nothing" if ideographs > _IDEOGRAPHIC_SHARE * len(words) else "space"
    between = " " if join == "space" else ""
    places, start = [], 0
    for word in words:
        places.append((start, start + len(word)))
        start += len(word) + len(between)
    return between.join(words), places


def _is_ideograph(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _IDEOGRAPHS)


def _locate(words: Sequence[str], text: Any) -> tuple[str, list[tuple[int, int]]]:
    """Where words stand in the text that their row has beside them."""
    text = parse_text(text)
    places, end = [], 0
    for number, word in enumerate(words, 1):
        start = text.find(word, end)
        if start < 0:
            raise InvalidValue("word not in the text", f"word {number}, {word[:30]!r}, after character {end}")
        end = start + len(word)
        places.append((start, end))
    return text, places


def parse_spans(parts: Mapping[str, Any]) -> Tagged:
    """A text with entities given as spans.

    An entity is `[start, end, type]`, or an object with `start`, `end` and `type` (or `label`), or one of CLUENER's
    with `entity_type`, `entity` and `entity_index`: `{begin, end}`. Of entities that overlap the longest is kept, and
    white space at an entity's ends is not part of it.

    Args:
        parts: `text`, and `entities`, a list.

    Raises:
        InvalidValue: they are no such things, or an entity does not lie in the text.
    """
    text, listed = parse_text(parts.get("text")), parts["entities"]
    if isinstance(listed, Mapping):  # lists side by side, as TFDS and `datasets` keep sequences of objects
        listed = zip_lists(listed)
    if not isinstance(listed, list | tuple):
        raise InvalidValue("entities are not a list", f"found {describe_value(listed)}")
    entities, notes = [], []
    for number, item in enumerate(listed, 1):
        start, end, kind, surface = _read_entity(item, number)
        if not 0 <= start < end <= len(text):
            place = f"entity {number}: {start} to {end} in {len(text)} characters"
            raise InvalidValue("entity outside of the text", place)
        if surface is not None and surface != text[start:end]:
            raise InvalidValue(
                "entity differs from the text",
                f"entity {number}: {surface[:30]!r}, {text[start:end][:30]!r}",
            )
        inner = text[start:end].strip(INVISIBLE)
        if not inner:
            raise InvalidValue("empty entity", f"entity {number}: {start} to {end}")
        trimmed = start + text[start:end].index(inner)
        if (trimmed, trimmed + len(inner)) != (start, end):
            notes.append(f"white space around {inner[:30]!r}")
        entities.append((trimmed, trimmed + len(inner), parse_label(kind)))
    kept = _drop_overlapping(entities)
    dropped = sorted(set(entities) - set(kept))
    notes += [f"{text[start:end][:30]!r} ({kind}) overlaps another" for start, end, kind in dropped]
    note = "entities that overlap" if dropped else "white space around an entity" if notes else ""
    return Tagged(text, [], kept, note, "; ".join(notes[:5]))


def zip_lists(columns: Mapping[str, Any]) -> Any:
    """A list of objects; what was given where it is no lists of one length."""
    lists = list(columns.values())
    if not lists or not all(isinstance(each, list) and len(each) == len(lists[0]) for each in lists):
        return columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _read_entity(item: Any, number: int) -> tuple[int, int, Any, str | None]:
    surface = None
    if isinstance(item, Mapping):
        surface = item.get("entity", item.get("text"))
        places = item.get("entity_index", item)
        values = [
            next((found[name] for name in names if isinstance(found, Mapping) and name in found), None)
            for found, names in ((places, _STARTS), (places, _ENDS), (item, _TYPES))
        ]
    elif isinstance(item, list | tuple) and len(item) == 3:
        values = list(item)
    else:
        detail = f"entity {number}: expected [start, end, type] or an object, found {describe_value(item)}"
        raise InvalidValue("entity is not a span", detail)
    start, end, kind = values
    if (
        not (isinstance(start, int) and isinstance(end, int))
        or isinstance(start, bool)
        or isinstance(end, bool)
    ):
        raise InvalidValue("entity is not a span", f"entity {number}: start and end must be whole numbers")
    return start, end, kind, surface if isinstance(surface, str) else None


def _drop_overlapping(entities: Sequence[Entity]) -> list[Entity]:
    """The longest first, of those of one length the first; sorted."""
    kept: list[Entity] = []
    for entity in sorted(set(entities), key=lambda one: (one[0] - one[1], one)):
        if all(entity[1] <= other[0] or other[1] <= entity[0] for other in kept):
            kept.append(entity)
    return sorted(kept)
