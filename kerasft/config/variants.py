"""Configs with several variants: a key of the document selects the schema."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic

from kerasft.config.document import Document


class Variants(abc.ABC):
    """The kinds of a config. Its schema has one under `variants`, a class variable.

    Attributes:
        section: the section that says which kind a document is of.
        tag: the key in it that names the kind.
        shared: the sections that are the same in all kinds.
        aliases: what is often written for a kind's name → the names, of which the first known one is meant.
    """

    section: str
    tag: str
    shared: Sequence[str]
    aliases: Mapping[str, Sequence[str]]

    @abc.abstractmethod
    def list_names(self) -> list[str]:
        """All kinds that there are, sorted."""

    @abc.abstractmethod
    def list_own(self) -> list[str]:
        """Those of kerasft itself: their schemas may be loaded to find out what a document is meant for."""

    @abc.abstractmethod
    def load(self, name: str, *, is_asked_for: bool) -> type[pydantic.BaseModel] | None:
        """The schema of the kind of this name; None where there is none.

        Args:
            name: as it stands in a document.
            is_asked_for: whether the user has named it; else only a run folder does.
        """


def choose_schema(schema: type[pydantic.BaseModel], document: Document) -> type[pydantic.BaseModel] | None:
    """The schema that a document is checked against: its kind's where there are kinds; None where it names none.

    Args:
        schema: the config's class.
        document: as it was read.
    """
    variants: Variants | None = getattr(schema, "variants", None)
    if variants is None:
        return schema
    section: Any = document.data.get(variants.section) if isinstance(document.data, dict) else None
    named = section.get(variants.tag) if isinstance(section, dict) else None
    if not isinstance(named, str):
        return None
    is_asked_for = not document.is_of_run or document.is_overridden((variants.section, variants.tag))
    return variants.load(named, is_asked_for=is_asked_for)
