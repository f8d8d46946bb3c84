"""Writes byte-level BPE as tokenizer.json of Hugging Face's libraries, or as the two files of keras-hub's presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.files import write_json, write_text
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary, map_bytes
from kerasft.text.tokenizers.patterns import PATTERNS

_NAMES = {
    "begin": "bos_token",
    "end": "eos_token",
    "padding": "pad_token",
    "unknown": "unk_token",
    "mask": "mask_token",
}


def write_byte_bpe(vocabulary: ByteBpeVocabulary, folder: Path) -> None:
    """Writes tokenizer.json and tokenizer_config.json; `read_byte_bpe` gives the same vocabulary back.

    Args:
        vocabulary: whose special tokens are UTF-8.
        folder: an existing one.
    """
    pieces = _spell_all(vocabulary)
    special = sorted(vocabulary.special)
    unknown = vocabulary.unknown_byte
    write_json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {
                    "id": place,
                    "content": pieces[place],
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": True,
                }
                for place in special
            ],
            "normalizer": None,
            "pre_tokenizer": _describe_pattern(vocabulary),
            "post_processor": _describe_frame(vocabulary, pieces),
            "decoder": {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": True,
                "use_regex": True,
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None if unknown == ABSENT else pieces[unknown],
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": vocabulary.ignores_merges,
                "vocab": {piece: place for place, piece in enumerate(pieces)},
                "merges": [[pieces[first], pieces[second]] for first, second in vocabulary.merges],
            },
        },
    )
    named = {
        name: pieces[getattr(vocabulary, key)]
        for key, name in _NAMES.items()
        if getattr(vocabulary, key) != ABSENT
    }
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **named},
    )


def write_two_files(vocabulary: ByteBpeVocabulary, folder: Path) -> None:
    """Writes vocabulary.json and merges.txt, as keras-hub does.

    Args:
        vocabulary: whose special tokens are UTF-8.
        folder: an existing one.
    """
    pieces = _spell_all(vocabulary)
    write_json(folder / "vocabulary.json", {piece: place for place, piece in enumerate(pieces)})
    merges = [f"{pieces[first]} {pieces[second]}" for first, second in vocabulary.merges]
    write_text(folder / "merges.txt", "".join(f"{merge}\n" for merge in merges))


def _spell_all(vocabulary: ByteBpeVocabulary) -> list[str]:
    characters = map_bytes()
    return [
        token.decode("utf-8") if place in vocabulary.special else "".join(characters[byte] for byte in token)
        for place, token in enumerate(vocabulary.tokens)
    ]


def _describe_pattern(vocabulary: ByteBpeVocabulary) -> dict[str, Any]:
    """What `kerasft.text.tokenizers.bpe_files.find_pattern` reads."""
    pattern = PATTERNS[vocabulary.pattern]
    is_usual = pattern.expression == PATTERNS["gpt2"].expression
    steps: list[dict[str, Any]] = []
    if pattern.isolates_digits:
        steps.append({"type": "Digits", "individual_digits": True})
    if not is_usual:
        expression = {"Regex": pattern.expression}
        steps.append({"type": "Split", "pattern": expression, "behavior": "Isolated", "invert": False})
    steps.append(
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": is_usual}
    )
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}


def _describe_frame(vocabulary: ByteBpeVocabulary, pieces: list[str]) -> dict[str, Any] | None:
    """The tokens around a text, as a template of Hugging Face's; None where there are none."""
    before = [vocabulary.begin] if vocabulary.adds_begin else []
    after = [vocabulary.end] if vocabulary.adds_end else []
    if not before and not after:
        return None

    def frame(name: str, kind: int) -> list[dict[str, Any]]:
        def special(places: list[int]) -> list[dict[str, Any]]:
            return [{"SpecialToken": {"id": pieces[place], "type_id": kind}} for place in places]

        return [*special(before), {"Sequence": {"id": name, "type_id": kind}}, *special(after)]

    return {
        "type": "TemplateProcessing",
        "single": frame("A", 0),
        "pair": [*frame("A", 0), *frame("B", 1)],
        "special_tokens": {
            pieces[place]: {"id": pieces[place], "ids": [place], "tokens": [pieces[place]]}
            for place in {*before, *after}
        },
    }
