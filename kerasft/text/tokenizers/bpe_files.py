"""Reads byte-level BPE from tokenizer.json, or from vocab.json (keras-hub: vocabulary.json) and merges.txt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary, map_bytes
from kerasft.text.tokenizers.patterns import PATTERNS, PatternName
from kerasft.text.tokenizers.reading import (
    find_template,
    list_added_tokens,
    name_in_errors,
    order_pieces,
    read_file,
    read_json,
    read_special_names,
    refuse,
)

_KNOWN = "byte-level BPE with the pattern of GPT-2, SmolLM or Llama 3"
_USUAL_SPECIALS = ("<|endoftext|>", "<s>", "</s>", "<pad>", "<unk>", "<mask>")


def read_byte_bpe(folder: Path) -> ByteBpeVocabulary:
    """Reads byte-level BPE from a folder.

    Raises:
        PresetError: files are missing or broken, or the tokenizer does more than kerasft follows.
    """
    path = folder / "tokenizer.json"
    with name_in_errors(path if path.exists() else folder):
        whole = read_json(path) or _read_two_files(folder)
        model = whole["model"]
        _check_model(model)
        if whole.get("normalizer"):
            raise refuse(f"normalises text ({whole['normalizer'].get('type')})", _KNOWN)
        added = list_added_tokens(whole)
        ids = {**model["vocab"], **added}
        pieces = order_pieces(ids)
        special = frozenset(added.values())
        return ByteBpeVocabulary(
            tokens=tuple(read_token(piece, place in special) for place, piece in enumerate(pieces)),
            merges=tuple(_read_merge(merge, model["vocab"]) for merge in model["merges"]),
            special=special,
            pattern=find_pattern(whole.get("pre_tokenizer") or {}),
            unknown_byte=ids[model["unk_token"]] if model.get("unk_token") else ABSENT,
            ignores_merges=bool(model.get("ignore_merges")),
            **_find_special(folder, whole, added),
        )


def _read_two_files(folder: Path) -> dict[str, Any]:
    """What a tokenizer.json of GPT-2's kind would say."""
    vocabulary = read_json(folder / "vocab.json") or read_json(folder / "vocabulary.json")
    if not vocabulary or not (folder / "merges.txt").exists():
        raise PresetError(
            "The folder contains no byte-level BPE.",
            fix="It needs tokenizer.json, or vocab.json and merges.txt.",
        )
    # Only "\n" parts lines: a token may contain what Python takes for other line breaks.
    lines = read_file(folder / "merges.txt").decode("utf-8").split("\n")
    named = {*_USUAL_SPECIALS, *read_special_names(folder).values()}
    extra = {name: place for name, place in read_json(folder / "added_tokens.json").items()}
    added = {name: vocabulary[name] for name in named if name in vocabulary} | extra
    return {
        "model": {
            "vocab": vocabulary,
            "merges": [
                line.removesuffix("\r")
                for place, line in enumerate(lines)
                if line.strip() and not (place == 0 and line.startswith("#version"))
            ],
        },
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "added_tokens": [{"content": name, "id": place, "special": True} for name, place in added.items()],
    }


def _check_model(model: dict[str, Any]) -> None:
    if model.get("type", "BPE") != "BPE":
        raise refuse(f"is {model.get('type')}", _KNOWN)
    for key, meaning in (
        ("dropout", "leaves merges out at random"),
        ("continuing_subword_prefix", "marks tokens that continue a word"),
        ("end_of_word_suffix", "marks tokens that end a word"),
        ("byte_fallback", "falls back to bytes (SentencePiece's BPE)"),
    ):
        if model.get(key):
            raise refuse(meaning, _KNOWN)
    if model.get("unk_token") and model.get("fuse_unk"):
        raise refuse("joins unknown bytes", _KNOWN)


def find_pattern(pre_tokenizer: dict[str, Any]) -> PatternName:
    """The name of the pattern that a tokenizer.json's pre-tokenizer splits by.

    Raises:
        PresetError: it is another one.
    """
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    last = steps[-1]
    if last.get("type") != "ByteLevel":
        raise refuse(f"splits text by {last.get('type')}", _KNOWN)
    if last.get("add_prefix_space"):
        raise refuse("puts a space before each text", _KNOWN)
    isolates_digits = False
    expression = PATTERNS["gpt2"].expression if last.get("use_regex", True) else None
    for step in steps[:-1]:
        if step["type"] == "Digits" and step["individual_digits"]:
            isolates_digits = True
        elif (
            step["type"] == "Split"
            and step["behavior"] == "Isolated"
            and not step["invert"]
            and not expression
        ):
            expression = step["pattern"].get("Regex")
        else:
            raise refuse(f"splits text by {step['type']} before {last['type']}", _KNOWN)
    for name, pattern in PATTERNS.items():
        if (pattern.expression, pattern.isolates_digits) == (expression, isolates_digits):
            return name
    raise refuse(f"splits text by the pattern {expression}", _KNOWN)


_BYTE_OF = {character: byte for byte, character in map_bytes().items()}


def read_token(piece: str, special: bool) -> bytes:
    """The bytes of a token that is spelled as in tokenizer.json; special tokens are spelled out.

    Raises:
        PresetError: a character stands for no byte.
    """
    if special:
        return piece.encode("utf-8")
    try:
        return bytes(_BYTE_OF[character] for character in piece)
    except KeyError as error:
        raise PresetError(
            f"The token {piece!r} contains {error.args[0]!r}, which stands for no byte."
        ) from error


def _read_merge(merge: str | list[str], ids: dict[str, int]) -> tuple[int, int]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return ids[first], ids[second]


def _find_special(folder: Path, whole: dict[str, Any], added: dict[str, int]) -> dict[str, Any]:
    """The ids of special tokens, and which of them stand around a text."""
    names = read_special_names(folder)
    ids = {key: added.get(names.get(f"{short}_token", ""), ABSENT) for key, short in _SHORT.items()}
    before, after = find_template(whole) or ([], [])
    if len(before) > 1 or len(after) > 1:
        raise refuse("puts several special tokens before or after a text", _KNOWN)
    if before:
        ids["begin"] = added[before[0]]
    if after:
        ids["end"] = added[after[0]]
    if ids["end"] == ABSENT:
        ids["end"] = added.get("<|endoftext|>", ABSENT)
    return {**ids, "adds_begin": bool(before), "adds_end": bool(after)}


_SHORT = {"begin": "bos", "end": "eos", "padding": "pad", "unknown": "unk", "mask": "mask"}
