"""Reads a unigram tokenizer: Hugging Face's tokenizer.json, or a SentencePiece model file."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.reading import (
    find_template,
    list_added_tokens,
    name_in_errors,
    order_pieces,
    read_json,
    read_special_names,
    refuse,
)
from kerasft.text.tokenizers.sentencepiece_model import read_sentencepiece_model
from kerasft.text.tokenizers.unigram_vocabulary import SPACE, UnigramVocabulary

_KNOWN = "unigram as in T5 and XLM-R: a table of normalisation rules, white space to ▁"
_FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>")
_SHORT = {"begin": "bos", "end": "eos", "padding": "pad", "mask": "mask"}


def find_model_file(folder: Path) -> Path | None:
    """The SentencePiece model in a folder, if there is one."""
    found = sorted(path for path in folder.iterdir() if path.suffix in (".model", ".spm"))
    return found[0] if found else None


def read_unigram(folder: Path, *, is_fairseq: bool = False) -> UnigramVocabulary:
    """Reads a unigram tokenizer from a folder; tokenizer.json comes before a model file.

    Args:
        folder: the tokenizer's.
        is_fairseq: whether a model file's pieces are numbered as XLM-R's, whatever tokenizer_config.json says.

    Raises:
        PresetError: files are missing or broken, or the tokenizer does more than kerasft follows.
    """
    path = folder / "tokenizer.json"
    model = find_model_file(folder)
    if path.exists() or model is None:
        with name_in_errors(path):
            return _read_tokenizer_json(read_json(path), folder)
    vocabulary = read_sentencepiece_model(model)
    with name_in_errors(folder):
        config = read_json(folder / "tokenizer_config.json")
        kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
        if is_fairseq or kind in ("XLMRobertaTokenizer", "CamembertTokenizer", "MBartTokenizer"):
            if not is_fairseq and kind != "XLMRobertaTokenizer":
                raise refuse(f"is of the class {kind} without a tokenizer.json", _KNOWN)
            return _number_as_fairseq(vocabulary)
        return replace(
            vocabulary,
            adds_begin=bool(config.get("add_bos_token")),
            adds_end=bool(config.get("add_eos_token", kind == "T5Tokenizer")),
        )


def _number_as_fairseq(vocabulary: UnigramVocabulary) -> UnigramVocabulary:
    """The ids of XLM-R's models: four special tokens, the pieces from the model's fourth on, and the mask."""
    pieces = (*_FAIRSEQ, *vocabulary.pieces[3:], "<mask>")
    special = {place + 1 for place in vocabulary.special if place >= 3}
    return replace(
        vocabulary,
        pieces=pieces,
        scores=(0.0,) * 4 + vocabulary.scores[3:] + (0.0,),
        special=frozenset({0, 1, 2, 3, len(pieces) - 1} | special),
        unknown=3,
        begin=0,
        padding=1,
        end=2,
        mask=len(pieces) - 1,
        adds_begin=True,
        adds_end=True,
    )


def _read_tokenizer_json(whole: dict[str, Any], folder: Path) -> UnigramVocabulary:
    model = whole["model"]
    added = list_added_tokens(whole)
    rows = [(str(piece), float(score)) for piece, score in model["vocab"]]
    ids = {piece: place for place, (piece, _) in enumerate(rows)} | added
    pieces = tuple(order_pieces(ids))
    byte_ids = tuple(ids[f"<0x{byte:02X}>"] for byte in range(256)) if model.get("byte_fallback") else ()
    charsmap, collapses = _read_normalizer(whole.get("normalizer"))
    adds_space, splits = _read_pre_tokenizer(whole.get("pre_tokenizer") or {})
    before, after = find_template(whole) or ([], [])
    if len(before) > 1 or len(after) > 1:
        raise refuse("puts several special tokens before or after a text", _KNOWN)
    names = read_special_names(folder)
    special = {key: added.get(names.get(f"{short}_token", ""), ABSENT) for key, short in _SHORT.items()}
    special |= {"begin": added[before[0]]} if before else {}
    special |= {"end": added[after[0]]} if after else {}
    return UnigramVocabulary(
        pieces=pieces,
        scores=tuple(score for _, score in rows) + (0.0,) * (len(pieces) - len(rows)),
        special=frozenset(added.values()) | {int(model["unk_id"])} | set(byte_ids),
        unknown=int(model["unk_id"]),
        byte_ids=byte_ids,
        charsmap=charsmap,
        adds_space=adds_space,
        strips_spaces=collapses or splits,
        splits_words=True,
        adds_begin=bool(before),
        adds_end=bool(after),
        **special,
    )


def _read_normalizer(normalizer: dict[str, Any] | None) -> tuple[bytes, bool]:
    """The charsmap, and whether several spaces become one."""
    if normalizer is None:
        return b"", False
    charsmap, collapses = b"", False
    for step in normalizer.get("normalizers", [normalizer]):
        kind = step["type"]
        if kind == "Precompiled" and not charsmap:
            charsmap = base64.b64decode(step["precompiled_charsmap"] or "")
        elif kind == "Replace" and step["pattern"] == {"Regex": " {2,}"} and step["content"] in (" ", SPACE):
            collapses = True
        elif kind != "Strip":
            raise refuse(f"normalises text by {kind}", _KNOWN)
    return charsmap, collapses


def _read_pre_tokenizer(pre_tokenizer: dict[str, Any]) -> tuple[bool, bool]:
    """Whether a space is put before a text, and whether white space parts words before."""
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    last = steps[-1]
    if last.get("type") != "Metaspace" or last.get("replacement", SPACE) != SPACE:
        raise refuse(f"splits text by {last.get('type')}", _KNOWN)
    if [step["type"] for step in steps[:-1]] not in ([], ["WhitespaceSplit"]):
        raise refuse(f"splits text by {steps[0]['type']}", _KNOWN)
    scheme = last.get("prepend_scheme") or ("always" if last.get("add_prefix_space", True) else "never")
    return scheme != "never", len(steps) > 1
