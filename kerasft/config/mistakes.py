"""What a schema says against a document: every mistake at once, at its place, in words.

Pydantic stops looking into a section whose tag (`type`, `format`) it does not know, and runs a section's own rules
only when all its fields are right. So what is wrong is mended (the nearest tag put in, a bad value taken out) and the
rest checked again, until nothing new comes up.
"""

from __future__ import annotations

import copy
import math
import re
import unicodedata
from typing import Any

import pydantic
from pydantic_core import ErrorDetails

from kerasft.config.describe import Place, find_elsewhere, find_nearest, show
from kerasft.config.document import Document, KeyPath
from kerasft.config.problems import Problem, format_key

MISSING = object()
"""What `look_up` finds where there is nothing."""
_OLD_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""YAML 1.1's words for booleans, which YAML 1.2 reads as text."""
_ROUNDS = 20


def find_problems(schema: type[pydantic.BaseModel], document: Document) -> dict[KeyPath, Problem]:
    """Everything that a schema says against a document, by the key that it is about; empty where that is nothing."""
    try:
        schema.model_validate(document.data)
    except pydantic.ValidationError as error:
        return _find_problems(schema, document, error)
    return {}


def _find_problems(
    schema: type[pydantic.BaseModel], document: Document, error: pydantic.ValidationError
) -> dict[KeyPath, Problem]:
    root = Place.of(schema)
    data = copy.deepcopy(document.data)
    found: dict[KeyPath, Problem] = {}
    removed: set[KeyPath] = set()
    guessed: set[KeyPath] = set()
    for _ in range(_ROUNDS):
        located = [
            (
                (*path, place.tag) if place.tag and detail["type"].startswith("union_tag") else path,
                place,
                detail,
            )
            for path, place, detail in _locate_all(root, error.errors(include_url=False))
            if not any(path[: len(known)] == known for known in found if known or not path)
            and not (path in removed and detail["type"] == "missing")
            and not _follows_from_guess(root, path, detail, guessed)
        ]
        for path, place, detail in located:
            unknown = _find_unknown(place, path, detail, data)
            for key in unknown:
                found[key] = _describe_unknown_key(root, key, data, document)
            if path not in found and not unknown:
                found[path] = _describe(root, place, path, detail, data, document)
        for path, place, detail in located:
            removed |= _mend(data, path, place, detail)
            if detail["type"].startswith("union_tag"):
                guessed.add(path[:-1])
        if not located or not isinstance(data, dict):
            break
        try:
            schema.model_validate(data)
            break
        except pydantic.ValidationError as again:
            error = again
    return found


def _find_unknown(place: Place, path: KeyPath, detail: ErrorDetails, data: Any) -> list[KeyPath]:
    """Of a section without its `type`, the keys that no type has: without them it may be the default with changes."""
    if (
        not detail["type"].startswith("union_tag")
        or place.tag != "type"
        or look_up(data, path) is not MISSING
    ):
        return []
    section = look_up(data, path[:-1])
    return (
        [(*path[:-1], key) for key in section if key not in place.keys] if isinstance(section, dict) else []
    )


def _follows_from_guess(root: Place, path: KeyPath, detail: ErrorDetails, guessed: set[KeyPath]) -> bool:
    """Whether a mistake may be none: the section's kind is not known, and another may have the key, or lack it."""
    for around in guessed:
        if path[: len(around)] == around and len(path) > len(around):
            section, key = _find_place(root, {}, around), str(path[len(around)])
            known = [key in section.choose(tag).keys for tag in section.tags]
            wrong = not any(known) if detail["type"] == "extra_forbidden" else all(known)
            return detail["type"] == "missing" or not wrong
    return False


def _locate_all(root: Place, details: list[ErrorDetails]) -> list[tuple[KeyPath, Place, ErrorDetails]]:
    """Each error's place. A value that may be of several kinds has an error for each: the deepest one is kept."""
    located = [(*_locate(root, detail), detail) for detail in details]
    return [
        (path, place, detail)
        for path, place, union, detail in located
        if (union is None or not any(other == union and len(p) > len(path) for p, _, other, _ in located))
        # of a list, pydantic counts the items that are right
        and not (detail["type"] == "too_short" and any(_is_below(p, path) for p, _, _, _ in located))
    ]


def _is_below(path: KeyPath, around: KeyPath) -> bool:
    return len(path) > len(around) and path[: len(around)] == around


def _locate(root: Place, detail: ErrorDetails) -> tuple[KeyPath, Place, KeyPath | None]:
    """Turns pydantic's location into a key's path: it holds the names of a union's members as well.

    Returns:
        The path, the schema's place there, and the path of the union of plain kinds around it, if any.
    """
    path: list[str | int] = []
    place, union = root, None
    loc = detail["loc"]
    for index, part in enumerate(loc):
        if part == "[key]":
            break
        if place.tag:
            place = place.choose(str(part))
        elif len(place.options) > 1:
            union = tuple(path)
            kinds = {"array"} if index + 1 < len(loc) and isinstance(loc[index + 1], int) else {"object"}
            inner = [o for o in place.options if o.node.get("type") in kinds] if index + 1 < len(loc) else []
            place = inner[0] if inner else place
        elif "function" in str(part) and not place.keys:
            continue
        else:
            place = place.get_item(part)
            path.append(part)
    return tuple(path), place, union


def look_up(data: Any, path: KeyPath) -> Any:
    """What plain values hold at a path; `MISSING` where that is nothing."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return data


def _find_place(root: Place, data: Any, path: KeyPath) -> Place:
    """The schema's place at a path, the data's tags followed."""
    place = root
    for part in path:
        if place.tag and isinstance(data, dict) and data.get(place.tag) in place.tags:
            place = place.choose(data[place.tag])
        place = place.get_item(part)
        data = look_up(data, (part,))
    if place.tag and isinstance(data, dict) and data.get(place.tag) in place.tags:
        place = place.choose(data[place.tag])
    return place


def _describe(
    root: Place, place: Place, path: KeyPath, detail: ErrorDetails, data: Any, document: Document
) -> Problem:
    kind, key, where = detail["type"], format_key(path), document.find_origin(path)
    value = look_up(data, path)
    fix: str | None = None
    if kind == "extra_forbidden":
        return _describe_unknown_key(root, path, data, document)
    if kind.startswith("union_tag"):
        known = ", ".join(place.tags)
        if value is MISSING:
            return Problem(where, key, f"missing; expected one of {known}")
        near = find_nearest(value, place.tags)
        fix = f"did you mean {near}?" if near else None
        return Problem(where, key, f"expected one of {known}; got {show(value)}", fix)
    if kind == "missing":
        hint = f" ({place.summary})" if place.summary else ""
        return Problem(where, key, f"missing; expected {place.describe()}{hint}")
    if kind == "value_error":
        message = str(detail["ctx"]["error"])
        return Problem(document.find_origin(path or _find_named_key(message, data)), key, message)
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return Problem(where, key, f"expected a key that is text, got {show(path[-1])}", "put it in quotes")
    if "enum" in place.core.node or "const" in place.core.node:
        known_values = [str(v) for v in place.core.node.get("enum", [place.core.node.get("const")])]
        near = find_nearest(value, known_values)
        fix = f"did you mean {near}?" if near else None
    elif kind == "bool_type" and isinstance(value, str) and value in _OLD_TRUTHS:
        fix = f"did you mean {_OLD_TRUTHS[value]}?"
    elif kind == "string_type" and isinstance(value, int | float):
        fix = f'for a text, use quotes: "{show(value)}"'
    elif place.tag and (near := find_nearest(value, place.tags)):
        fix = f"did you mean {{{place.tag}: {near}}}?"
    elif number := _find_number(value, place):
        fix = f"did you mean {number}?"
    elif kind == "string_pattern_mismatch" and (spelling := _respell(value, place)):
        fix = f"did you mean {spelling}?"
    return Problem(where, key, f"expected {place.describe()}, got {show_value(value)}", fix)


def _find_number(value: Any, place: Place) -> str | None:
    """The number that was meant by one in quotes (`"1e-4"`), or by a whole one with a fraction (`32.0`, `1e3`)."""
    kinds = {option.node.get("type") for option in place.options}
    try:
        number = float(value) if isinstance(value, str | float) else math.nan
    except ValueError:
        return None
    if "number" in kinds and isinstance(value, str) and math.isfinite(number):
        return value.strip()
    return str(int(number)) if "integer" in kinds and number.is_integer() else None


def _respell(value: str, place: Place) -> str | None:
    """The text as the place's pattern takes it: without accents, other characters as `_`."""
    pattern = place.core.node.get("pattern")
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    spelling = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-")
    return spelling if pattern and re.search(pattern, spelling) else None


def _find_named_key(message: str, data: Any) -> KeyPath:
    """The key that a message about several sections begins with, as far as the document has it."""
    named = re.match(r"[a-z_]+(\.[a-z_]+)*(?=:)", message)
    path: KeyPath = ()
    for part in named.group().split(".") if named else ():
        if look_up(data, (*path, part)) is MISSING:
            break
        path = (*path, part)
    return path


def show_value(value: Any) -> str:
    """What stands where something else was expected, in words."""
    if value is None:
        return "null (nothing)"
    if isinstance(value, dict):
        return "a section of keys" if value else "an empty section"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return show(value)


def _describe_unknown_key(root: Place, path: KeyPath, data: Any, document: Document) -> Problem:
    """An unknown key: the one it was meant for, or those there are."""
    *around, name = path
    section = _find_place(root, data, tuple(around))
    near = find_nearest(name, list(section.keys), 0.7)
    where, key, what = document.find_origin(path), format_key(path), "unknown key"
    override = where.startswith("override ")
    kinds = _find_place(root, {}, tuple(around))
    elsewhere = (*around, near) if near else find_elsewhere(str(name), root)
    if kinds.tag:
        tag = kinds.tag if name in kinds.keys else None
    else:
        tag = None if elsewhere else section.own_tag
    if tag:
        kind = look_up(data, (*around, tag))
        what = f"unknown key for {tag}: {kind}"
        tag_origin = document.find_origin((*around, tag))
        if tag_origin.startswith("override ") and not override:
            fix = f"replace the whole section: '{format_key(around)}={{{tag}: {kind}, …}}'"
            return Problem(where, key, f"{what} ({tag_origin})", fix)
        return Problem(where, key, what, f"its keys: {', '.join(section.keys)}")
    if not elsewhere and (looser := find_nearest(name, list(section.keys), 0.5)):
        elsewhere = (*around, looser)
    fix = f"did you mean {format_key(elsewhere)}?" if elsewhere else f"known here: {', '.join(section.keys)}"
    return Problem(where, key, what, fix)


def _mend(data: Any, path: KeyPath, place: Place, detail: ErrorDetails) -> set[KeyPath]:
    """Takes the mistake out of `data`, so that what is behind it comes to light; returns what it removed."""
    if not path or detail["type"] == "missing":
        return set()
    if detail["type"].startswith("union_tag"):
        near = find_nearest(look_up(data, path), place.tags)
        if near:
            look_up(data, path[:-1])[path[-1]] = near
            return set()
        path = path[:-1]
    around = look_up(data, path[:-1])
    if isinstance(around, dict):
        around.pop(path[-1], None)
    return {path}
