"""Reads a SentencePiece model file: protocol buffers, as data."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.reading import name_in_errors, read_file, refuse
from kerasft.text.tokenizers.unigram_vocabulary import UnigramVocabulary

_KNOWN = "SentencePiece unigram models"
_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 2, 3, 4, 6
_NORMAL = 1
_MODEL_TYPES = {1: "unigram", 2: "BPE", 3: "words", 4: "characters"}


def read_sentencepiece_model(path: Path) -> UnigramVocabulary:
    """Reads a unigram model.

    Raises:
        PresetError: the file is broken, or the model of another kind.
    """
    with name_in_errors(path):
        model = _read_message(read_file(path))
        trainer = _read_last(model.get(2))
        normaliser = _read_last(model.get(3))
        kind = trainer.get(3, [1])[-1]
        if kind != 1:
            raise refuse(f"is SentencePiece's {_MODEL_TYPES.get(kind, kind)}", _KNOWN)
        if trainer.get(24, [0])[-1]:
            raise refuse("puts spaces after words", _KNOWN)
        if not normaliser.get(5, [1])[-1]:
            raise refuse("leaves spaces as they are", _KNOWN)
        rows = [_read_piece(content) for content in model.get(1, [])]
        kinds = [kind for _, _, kind in rows]
        if _USER_DEFINED in kinds:
            name = rows[kinds.index(_USER_DEFINED)][0]
            raise refuse(f"has user-defined symbols ({name!r})", _KNOWN)
        special = frozenset(place for place, kind in enumerate(kinds) if kind != _NORMAL)
        named = {name: place for place, (name, _, kind) in enumerate(rows) if kind == _CONTROL}

        def find(field: int, default: str) -> int:
            """A special token by its id in the trainer's description, or by the usual name."""
            place = _signed(trainer[field][-1]) if field in trainer else named.get(default, ABSENT)
            return place if 0 <= place < len(rows) and kinds[place] == _CONTROL else ABSENT

        return UnigramVocabulary(
            pieces=tuple(name for name, _, _ in rows),
            scores=tuple(score for _, score, _ in rows),
            special=special,
            unknown=kinds.index(_UNKNOWN) if _UNKNOWN in kinds else ABSENT,
            byte_ids=tuple(place for place, kind in enumerate(kinds) if kind == _BYTE),
            charsmap=normaliser.get(2, [b""])[-1],
            adds_space=bool(normaliser.get(3, [1])[-1]),
            strips_spaces=bool(normaliser.get(4, [1])[-1]),
            begin=find(41, "<s>"),
            end=find(42, "</s>"),
            padding=find(43, "<pad>"),
        )


def read_charsmap(content: bytes) -> bytes:
    """The table of normalisation rules in a model's bytes.

    Raises:
        PresetError: they are no model.
    """
    return _read_last(_read_message(content).get(3)).get(2, [b""])[-1]


def _read_piece(content: bytes) -> tuple[str, float, int]:
    message = _read_message(content)
    name = message.get(1, [b""])[-1].decode("utf-8")
    return name, struct.unpack("<f", message.get(2, [b"\0\0\0\0"])[-1])[0], message.get(3, [_NORMAL])[-1]


def _read_last(contents: list[Any] | None) -> dict[int, list[Any]]:
    return _read_message(contents[-1]) if contents else {}


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_message(content: bytes) -> dict[int, list[Any]]:
    """From a field's number to its values: integers, or bytes.

    Raises:
        PresetError: it is no protocol buffer.
    """
    fields: dict[int, list[Any]] = {}
    for number, value in _read_fields(content):
        fields.setdefault(number, []).append(value)
    return fields


def _read_fields(content: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        kind = key & 7
        if kind == 0:
            value, place = _read_varint(content, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _read_varint(content, place)
        else:
            size = {1: 8, 5: 4}.get(kind, len(content))
        if place + size > len(content):
            raise PresetError("The file is no SentencePiece model, or it is cut short.")
        yield key >> 3, content[place : place + size]
        place += size


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content) and shift < 70:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), place
        shift += 7
    raise PresetError("The file is no SentencePiece model, or it is cut short.")
