"""Reads the files of foreign tokenizers: as data, of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.json_values import parse_json

MAX_FILE_BYTES = 64 << 20
"""Of a vocabulary or a tokenizer's description; those of many languages have about 20 MB."""
FETCH = "Fetch the preset again."


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        PresetError: it is no file, or larger than any tokenizer's.
    """
    if not path.is_file():
        raise PresetError("It is not a file.", where=str(path), fix=FETCH)
    with open(path, "rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise PresetError(
            f"The file has more than {MAX_FILE_BYTES >> 20} MiB: no tokenizer's is so large.",
            where=str(path),
            fix=FETCH,
        )
    return content


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that a file contains; an empty one where there is no such file.

    Raises:
        PresetError: it contains something else.
    """
    if not path.exists():
        return {}
    try:
        value = parse_json(read_file(path), Any)
    except ValueError as error:
        raise PresetError(f"Not JSON: {error}.", where=str(path), fix=FETCH) from error
    if not isinstance(value, dict):
        raise PresetError("Expected a JSON object.", where=str(path), fix=FETCH)
    return value


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """Makes a `PresetError` that names `path` of what goes wrong while its content is read.

    Raises:
        PresetError: the content has not the expected form, or cannot be used.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise PresetError(
            f"The tokenizer's files are not in a known form: {type(error).__name__} {error}.",
            where=str(path),
            fix=FETCH,
        ) from error
    except PresetError as error:
        if error.where is not None:
            raise
        raise PresetError(error.what, where=str(path), fix=error.fix) from error


def refuse(kind: str, known: str) -> PresetError:
    """The error for a tokenizer that kerasft does not know how to follow.

    Args:
        kind: what it is or does.
        known: what kerasft reads in its place.
    """
    return PresetError(f"The tokenizer {kind}, which kerasft does not support.", fix=f"Supported: {known}.")


def list_added_tokens(whole: dict[str, Any]) -> dict[str, int]:
    """From the special tokens of a tokenizer.json to their ids.

    Raises:
        PresetError: it adds words that are no special tokens: these are looked for before anything else.
    """
    found: dict[str, int] = {}
    for token in whole.get("added_tokens") or []:
        if not token.get("special"):
            raise refuse(f"adds the word {token['content']!r} to its vocabulary", "added special tokens")
        found[token["content"]] = int(token["id"])
    return found


def order_pieces(ids: dict[str, int]) -> list[str]:
    """The pieces in the order of their ids.

    Raises:
        PresetError: the ids are not 0, 1, 2, … without gaps.
    """
    pieces = sorted(ids, key=lambda piece: ids[piece])
    if [ids[piece] for piece in pieces] != list(range(len(pieces))):
        raise PresetError("The tokens' ids are not 0, 1, 2, … without gaps.", fix=FETCH)
    return pieces


def read_special_names(folder: Path) -> dict[str, str]:
    """From `bos_token`, `eos_token`, … of tokenizer_config.json or special_tokens_map.json to the tokens they name."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        for key, value in read_json(folder / name).items():
            content = value.get("content") if isinstance(value, dict) else value
            if key.endswith("_token") and isinstance(content, str):
                found[key] = content
    return found


def find_template(whole: dict[str, Any]) -> tuple[list[str], list[str]] | None:
    """The special tokens that a tokenizer.json puts before and after a single text; None where it says nothing."""
    processor = whole.get("post_processor") or {}
    if processor.get("type") == "Sequence":
        found = [find_template({"post_processor": each}) for each in processor["processors"]]
        return next((each for each in found if each is not None), None)
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        return [processor["cls"][0]], [processor["sep"][0]]
    if processor.get("type") != "TemplateProcessing":
        return None
    sides: tuple[list[str], list[str]] = ([], [])
    side = 0
    for part in processor["single"]:
        if "Sequence" in part:
            side = 1
        else:
            names = processor["special_tokens"][part["SpecialToken"]["id"]]["tokens"]
            sides[side].extend(names)
    return sides
