"""Parses XML that may come from anyone: no document type, so that no entity is expanded and no file is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from kerasft.data.kinds.fields import InvalidValue

MAX_BYTES = 16 << 20
MAX_DEPTH = 64


def load_xml(path: Path) -> Element:
    """The root of a file's elements.

    Raises:
        InvalidValue: it is not there, is no XML, or has what annotations need not have: a document type, more than
            16 MiB, or elements nested more than 64 deep.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InvalidValue("missing annotation", f"there is no {path.name}") from None
    except OSError as error:
        raise InvalidValue("unreadable file", f"{path.name}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InvalidValue("broken XML", f"{path.name}: more than {MAX_BYTES >> 20} MiB")
    return parse_xml(data, path.name)


def parse_xml(data: bytes, name: str) -> Element:
    """The same of a file's bytes; `name` is what messages call it."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise InvalidValue("broken XML", f"{name}: nested more than {MAX_DEPTH} deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> NoReturn:
        detail = f"{name}: a document type (<!DOCTYPE …>), which can hold entities, is not read"
        raise InvalidValue("broken XML", detail)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise InvalidValue("broken XML", f"{name}: {error}") from None
    return builder.close()
