"""WordPiece vocabularies, read from Hugging Face and keras-hub folders."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.files import compute_fingerprint
from kerasft.text.tokenizers.reading import FETCH, name_in_errors, read_file, read_json

_SPECIAL_FIELDS = ("unknown", "cls", "separator", "padding", "mask")


@dataclass(frozen=True)
class WordPieceVocabulary:
    """The pieces of a WordPiece tokenizer and how text is normalised before it.

    Attributes:
        pieces: the pieces; a piece's place is its id.
        lowercase: whether text is lowercased.
        strip_accents: whether text is decomposed (NFD) and non-spacing marks are dropped.
        split_cjk: whether each CJK ideograph is a word of its own.
        unknown, cls, separator, padding, mask: the special tokens.
        continuation: what marks a piece that continues a word.
        max_characters_per_word: longer words (counted after normalising) become `unknown`.

    Raises:
        PresetError: no pieces, an empty or repeated piece, or a special token that is not among them.
    """

    pieces: tuple[str, ...]
    lowercase: bool
    strip_accents: bool
    split_cjk: bool = True
    unknown: str = "[UNK]"
    cls: str = "[CLS]"
    separator: str = "[SEP]"
    padding: str = "[PAD]"
    mask: str = "[MASK]"
    continuation: str = "##"
    max_characters_per_word: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(self.pieces))
        if not self.pieces:
            raise PresetError("The vocabulary is empty.")
        if "" in self.index:
            raise PresetError(
                f"The vocabulary's piece {self.index['']} is empty.", fix="Remove the blank line."
            )
        if len(self.index) != len(self.pieces):
            repeated = next(piece for place, piece in enumerate(self.pieces) if self.index[piece] != place)
            raise PresetError(
                f"The vocabulary contains the piece {repeated!r} more than once.",
                fix="Each line must be unique: a piece's line number is its id.",
            )
        missing = [token for token in self.special_tokens if token not in self.index]
        if missing:
            raise PresetError(
                f"The vocabulary lacks the special tokens {', '.join(missing)}.",
                fix="BERT's are [UNK], [CLS], [SEP], [PAD] and [MASK]; others are named in tokenizer_config.json.",
            )

    @property
    def size(self) -> int:
        """How many pieces there are."""
        return len(self.pieces)

    @cached_property
    def index(self) -> dict[str, int]:
        """From piece to id."""
        return {piece: place for place, piece in enumerate(self.pieces)}

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """unknown, cls, separator, padding, mask."""
        return tuple(getattr(self, field) for field in _SPECIAL_FIELDS)

    @property
    def unknown_id(self) -> int:
        return self.index[self.unknown]

    @property
    def cls_id(self) -> int:
        return self.index[self.cls]

    @property
    def separator_id(self) -> int:
        return self.index[self.separator]

    @property
    def padding_id(self) -> int:
        return self.index[self.padding]

    @property
    def mask_id(self) -> int:
        return self.index[self.mask]

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when any token id of any text could."""
        return compute_fingerprint(asdict(self))


def load_vocabulary(
    path: str | Path, *, lowercase: bool | None = None, strip_accents: bool | None = None
) -> WordPieceVocabulary:
    """Reads a vocabulary from a Hugging Face folder, a keras-hub preset folder, or a vocab.txt.

    Of a Hugging Face folder, vocab.txt or tokenizer.json gives the pieces, and tokenizer_config.json, where it
    speaks, decides over tokenizer.json, as it does in `transformers`. Where accents are left open they follow
    the case. A keras-hub preset's `strip_accents: false` beside `lowercase: true` is believed only if its pieces
    hold accents: keras-hub writes it for every BERT preset, also for those trained on stripped text.
    A vocab.txt alone says nothing of case: it counts as cased if any of its pieces holds a capital.

    Args:
        path: the folder, or a file with one piece a line.
        lowercase: overrides what the folder says.
        strip_accents: overrides what the folder says.

    Raises:
        PresetError: nothing there, not a WordPiece tokenizer, rules that are not BERT's, or a broken vocabulary.
    """
    path = Path(path)
    if not path.exists():
        raise PresetError(
            "There is no such file or folder.", where=str(path), fix="Name a vocab.txt or its folder."
        )
    with name_in_errors(path):
        if path.is_file():
            settings: dict[str, Any] = {"pieces": _read_pieces(path)}
        elif (path / "assets" / "tokenizer").is_dir():
            settings = _read_keras_hub(path)
        else:
            settings = _read_hugging_face(path)
        _check_kinds(settings)
        return _complete(settings, lowercase, strip_accents)


def _check_kinds(settings: dict[str, Any]) -> None:
    kinds = {field.name: str(field.type) for field in fields(WordPieceVocabulary)}
    for name, value in settings.items():
        known = {"bool": bool, "int": int, "str": str}.get(kinds[name], tuple)
        if value is not None and type(value) is not known:
            raise PresetError(f"The tokenizer's {name} is {repr(value)[:60]}.", fix=FETCH)


def _complete(
    settings: dict[str, Any], lowercase: bool | None, strip_accents: bool | None
) -> WordPieceVocabulary:
    settings = {name: value for name, value in settings.items() if value is not None}
    if lowercase is not None:
        settings["lowercase"] = lowercase
    if strip_accents is not None:
        settings["strip_accents"] = strip_accents
    if "lowercase" not in settings:
        special = {settings.get(field, getattr(WordPieceVocabulary, field)) for field in _SPECIAL_FIELDS}
        settings["lowercase"] = all(
            piece == piece.lower() or piece in special or piece.startswith("[")
            for piece in settings["pieces"]
        )
    settings.setdefault("strip_accents", settings["lowercase"])
    return WordPieceVocabulary(**settings)


def _read_pieces(path: Path) -> tuple[str, ...]:
    try:
        text = read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PresetError(
            f"Not UTF-8: {error}.", where=str(path), fix="A vocabulary is UTF-8 text."
        ) from error
    # Only "\n" parts pieces: others that Python calls line breaks (U+2028, U+0085) may be pieces themselves.
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _refuse(kind: str, where: Path) -> PresetError:
    return PresetError(
        f"The tokenizer is {kind}, not BERT's WordPiece.",
        where=str(where),
        fix="Choose a preset of the BERT family (BERT, DistilBERT, ELECTRA, MiniLM, BGE, E5 in English and the like).",
    )


def _read_keras_hub(folder: Path) -> dict[str, Any]:
    description = read_json(folder / "tokenizer.json")
    config = description.get("config", {})
    path = folder / "assets" / "tokenizer" / "vocabulary.txt"
    if not path.exists() or not config.get("split", True):
        raise _refuse(str(description.get("class_name", "of another kind")), folder)
    pieces = _read_pieces(path)
    strip_accents = config.get("strip_accents")
    if strip_accents is False and config.get("lowercase") and not _has_accents(pieces):
        strip_accents = None
    return {
        "pieces": pieces,
        "lowercase": config.get("lowercase"),
        "strip_accents": strip_accents,
        "split_cjk": config.get("split_on_cjk"),
        "unknown": config.get("oov_token"),
        "continuation": config.get("suffix_indicator"),
    }


def _has_accents(pieces: tuple[str, ...]) -> bool:
    marks = (unicodedata.category(c) == "Mn" for p in pieces for c in unicodedata.normalize("NFD", p))
    return any(marks)


def _read_hugging_face(folder: Path) -> dict[str, Any]:
    config = read_json(folder / "tokenizer_config.json")
    whole = read_json(folder / "tokenizer.json")
    settings: dict[str, Any] = {}
    if whole:
        settings = _read_tokenizer_json(whole, folder / "tokenizer.json")
    elif (folder / "vocab.txt").exists():
        settings["pieces"] = _read_pieces(folder / "vocab.txt")
    else:
        names = sorted(child.name for child in folder.iterdir())
        kind = next(
            (n for n in names if n.endswith((".model", ".spm")) or n in ("merges.txt", "vocab.json")), None
        )
        if kind:
            raise _refuse(f"stored as {kind}", folder)
        raise PresetError(
            "The folder contains no vocabulary.",
            fix="It needs vocab.txt or tokenizer.json (Hugging Face), or assets/tokenizer/vocabulary.txt (keras-hub).",
        )
    names_in_config = {
        "lowercase": "do_lower_case",
        "strip_accents": "strip_accents",
        "split_cjk": "tokenize_chinese_chars",
        "unknown": "unk_token",
        "cls": "cls_token",
        "separator": "sep_token",
        "padding": "pad_token",
        "mask": "mask_token",
        "continuation": "wordpieces_prefix",
        "max_characters_per_word": "max_input_chars_per_word",
    }
    for field, name in names_in_config.items():
        if name in config:
            value = config[name]
            settings[field] = value["content"] if isinstance(value, dict) else value
    return settings


def _read_tokenizer_json(whole: dict[str, Any], path: Path) -> dict[str, Any]:
    model, normalizer = whole.get("model") or {}, whole.get("normalizer") or {}
    pre_tokenizer = (whole.get("pre_tokenizer") or {}).get("type")
    if model.get("type", "WordPiece") != "WordPiece" or not isinstance(model.get("vocab"), dict):
        raise _refuse(str(model.get("type")), path)
    if normalizer.get("type") != "BertNormalizer" or not normalizer.get("clean_text", True):
        raise _refuse(f"WordPiece behind the normalizer {normalizer.get('type')}", path)
    if pre_tokenizer != "BertPreTokenizer":
        raise _refuse(f"WordPiece behind the pre-tokenizer {pre_tokenizer}", path)
    ids = dict(model["vocab"])
    for token in whole.get("added_tokens", []):
        if not token.get("special") and token["content"] not in ids:
            raise PresetError(
                f"The added token {token['content']!r} is neither a special token nor in the vocabulary.",
                where=str(path),
                fix="Added words are matched before normalising, which BERT's tokenizer does not do.",
            )
        ids[token["content"]] = token["id"]
    if sorted(ids.values()) != list(range(len(ids))):
        raise PresetError("The pieces' ids are not 0, 1, 2, … without gaps.", where=str(path), fix=FETCH)
    return {
        "pieces": tuple(sorted(ids, key=lambda piece: ids[piece])),
        "lowercase": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
        "split_cjk": normalizer.get("handle_chinese_chars"),
        "unknown": model.get("unk_token"),
        "continuation": model.get("continuing_subword_prefix"),
        "max_characters_per_word": model.get("max_input_chars_per_word"),
    }
