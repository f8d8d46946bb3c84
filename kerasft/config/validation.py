"""Validates a document against its schema, or against the schema of the variant that it names."""

from __future__ import annotations

import copy
import dataclasses
import difflib
from typing import Any, TypeVar, cast

import pydantic

from kerasft.config.describe import find_nearest, show
from kerasft.config.document import Document, KeyPath
from kerasft.config.mistakes import MISSING, find_problems, look_up, show_value
from kerasft.config.problems import InvalidConfig, Problem
from kerasft.config.variants import Variants, choose_schema

C = TypeVar("C", bound=pydantic.BaseModel)


def validate(schema: type[C], document: Document) -> C:
    """The document as a config.

    Raises:
        InvalidConfig: the document's own problems, and all that the schema says against it.
    """
    chosen = choose_schema(schema, document)
    if chosen is None:
        raise InvalidConfig(_sort(document, _find_problems_of_any_kind(schema, document)))
    try:
        config = chosen.model_validate(document.data)
    except pydantic.ValidationError:
        raise InvalidConfig(_sort(document, find_problems(chosen, document))) from None
    if document.problems:
        raise InvalidConfig(_sort(document, {}))
    return cast(C, config)


def _find_problems_of_any_kind(
    schema: type[pydantic.BaseModel], document: Document
) -> dict[KeyPath, Problem]:
    """Of a document that names no kind that there is: that, and what is wrong whichever kind is meant."""
    variants: Variants = getattr(schema, "variants")  # noqa: B009 (of the schemas that have it)
    named = look_up(document.data, (variants.section, variants.tag))
    is_like_one = named is MISSING or find_nearest(named, variants.list_own(), aliases=variants.aliases)
    found: dict[KeyPath, Problem] | None = None
    for name in _sort_by_likeness(named, variants):
        candidate, data = variants.load(name, is_asked_for=False), copy.deepcopy(document.data)
        if isinstance(section := look_up(data, (variants.section,)), dict):
            section[variants.tag] = name
        if candidate is not None:
            problems = find_problems(candidate, dataclasses.replace(document, data=data))
            before = problems if found is None else found
            found = {
                path: problem
                for path, problem in before.items()
                # what each kind says in words of its own (its figures, say) helps only where one is meant
                if path in problems and (is_like_one or problems[path] == problem)
            }
    found = found or {}
    if not isinstance(document.data, dict):
        return found
    if len(variants.list_names()) > len(variants.list_own()):
        # another kind may have other keys
        found = {path: message for path, message in found.items() if path and path[0] in variants.shared}
    path, problem = _describe_unknown_kind(schema, variants, document)
    return {**found, path: problem}


def _sort_by_likeness(named: Any, variants: Variants) -> list[str]:
    """The kinds whose schemas may be loaded, the likeliest first."""
    known, text = variants.list_own(), "" if named is MISSING else str(named)
    first = find_nearest(text, known, aliases=variants.aliases)
    likest = difflib.get_close_matches(text, known, n=len(known), cutoff=0.0)
    return list(dict.fromkeys([*([first] if first else []), *likest]))


def _describe_unknown_kind(
    schema: type[pydantic.BaseModel], variants: Variants, document: Document
) -> tuple[KeyPath, Problem]:
    """What to say of a document that names no kind that there is, and of which key."""
    section, tag, names = variants.section, variants.tag, variants.list_names()
    found, named = look_up(document.data, (section,)), look_up(document.data, (section, tag))
    where, known = document.find_origin((section,)), " | ".join(names)
    if found is MISSING:
        summary = str(schema.model_fields[section].description).rstrip(".")
        return (section,), Problem(
            where, section, f"missing; expected a section with {tag}: {known} ({summary})"
        )
    if not isinstance(found, dict):
        near = find_nearest(found, names, aliases=variants.aliases)
        message = f"expected a section with {tag}: {known}, got {show_value(found)}"
        fix = f"did you mean {{{tag}: {near}}}?" if near else None
        return (section,), Problem(where, section, message, fix)
    where, known = document.find_origin((section, tag)), ", ".join(names)
    if named is MISSING:
        message, near = f"missing; expected one of {known}", None
    else:
        message = f"expected one of {known}; got {show(named)}"
        near = find_nearest(named, names, aliases=variants.aliases)
    fix = f"did you mean {near}?" if near else None
    if near is None and isinstance(named, str):
        fix = "if another package has it, install that package"
    return (section, tag), Problem(where, f"{section}.{tag}", message, fix)


def _sort(document: Document, found: dict[KeyPath, Problem]) -> list[Problem]:
    """In the order of the file, then of the overrides."""
    problems = dict.fromkeys([*document.problems, *found.values()])

    def order(problem: Problem) -> tuple[bool, int]:
        line = problem.where.rpartition(":")[2]
        from_file = not problem.where.startswith("override ")
        return (not from_file, int(line) if from_file and line.isdigit() else 0)

    return sorted(problems, key=order)
