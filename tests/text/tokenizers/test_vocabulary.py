"""Vocabularies are read as their makers meant them, and broken ones are refused with the reason."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kerasft.errors import PresetError
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary, load_vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIAL, "the", "##ing", "a"]


def write_vocabulary(folder, pieces=PIECES, name="vocab.txt"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{piece}\n" for piece in pieces).encode())
    return path


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def tokenizer_json(
    pieces=PIECES, *, added=(), model="WordPiece", pre_tokenizer="BertPreTokenizer", **normalizer
):
    rules = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
    }
    return {
        "added_tokens": list(added),
        "normalizer": {**rules, "lowercase": True, **normalizer},
        "pre_tokenizer": {"type": pre_tokenizer},
        "model": {"type": model, "unk_token": "[UNK]", "vocab": {p: i for i, p in enumerate(pieces)}},
    }


def keras_hub_json(**config):
    return {
        "class_name": "BertTokenizer",
        "config": {"oov_token": "[UNK]", "suffix_indicator": "##", **config},
    }


def test_ids_are_the_places_of_the_pieces():
    vocabulary = WordPieceVocabulary(tuple(PIECES), lowercase=True, strip_accents=True)
    assert (vocabulary.size, vocabulary.index["the"]) == (8, 5)
    ids = (vocabulary.padding_id, vocabulary.unknown_id, vocabulary.cls_id, vocabulary.separator_id)
    assert (*ids, vocabulary.mask_id) == (0, 1, 2, 3, 4)


def test_the_fingerprint_changes_with_every_setting():
    base = {"pieces": tuple(PIECES), "lowercase": True, "strip_accents": True}
    others = [
        {"pieces": (*PIECES, "b")},
        {"lowercase": False},
        {"strip_accents": False},
        {"split_cjk": False},
        {"unknown": "a"},
        {"continuation": "@@"},
        {"max_characters_per_word": 99},
    ]
    prints = {WordPieceVocabulary(**{**base, **other}).fingerprint() for other in [{}, *others]}
    assert len(prints) == 1 + len(others)


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "vocabulary is empty"),
        ([*PIECES, "the"], "'the' more than once"),
        ([*PIECES, "", "b"], "is empty"),
        (["[PAD]", "[UNK]", "a"], r"lacks the special tokens \[CLS\], \[SEP\], \[MASK\]"),
    ],
)
def test_a_broken_vocabulary_is_refused_with_the_reason_and_the_file(tmp_path, pieces, message):
    path = write_vocabulary(tmp_path, pieces)
    with pytest.raises(PresetError, match=message) as error:
        load_vocabulary(path)
    assert error.value.where == str(path)


def test_a_vocab_txt_alone_is_cased_if_a_piece_holds_a_capital(tmp_path):
    lower = load_vocabulary(write_vocabulary(tmp_path / "lower", [*PIECES, "[unused1]"]))
    cased = load_vocabulary(write_vocabulary(tmp_path / "cased", [*PIECES, "The"]))
    assert (lower.lowercase, lower.strip_accents) == (True, True)
    assert (cased.lowercase, cased.strip_accents) == (False, False)


def test_only_line_feeds_part_pieces(tmp_path):
    pieces = [*PIECES, "\u2028", "\x85", "\u00a0"]
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(pieces).encode())
    assert load_vocabulary(tmp_path).pieces == tuple(pieces)


def test_the_config_of_a_hugging_face_folder_decides_over_tokenizer_json(tmp_path):
    write_json(tmp_path / "tokenizer.json", tokenizer_json())
    assert load_vocabulary(tmp_path).lowercase
    config = {"do_lower_case": False, "strip_accents": None, "tokenize_chinese_chars": False}
    write_json(tmp_path / "tokenizer_config.json", config)
    vocabulary = load_vocabulary(tmp_path)
    assert (vocabulary.lowercase, vocabulary.strip_accents, vocabulary.split_cjk) == (False, False, False)
    assert vocabulary.pieces == tuple(PIECES)


def test_special_tokens_of_other_names_are_taken_from_the_config(tmp_path):
    write_vocabulary(tmp_path, ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", "a"])
    names = {
        "cls_token": {"content": "<s>"},
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": True, **names})
    assert load_vocabulary(tmp_path).special_tokens == ("[UNK]", "<s>", "</s>", "<pad>", "<mask>")


def test_special_tokens_added_behind_the_pieces_have_ids(tmp_path):
    added = [{"id": 8, "content": "[X]", "special": True}, {"id": 0, "content": "[PAD]", "special": True}]
    write_json(tmp_path / "tokenizer.json", tokenizer_json(added=added))
    assert load_vocabulary(tmp_path).index["[X]"] == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tokenizer_json(model="BPE"), "BPE, not BERT's WordPiece"),
        (tokenizer_json(type="NFC"), "normalizer NFC"),
        (tokenizer_json(clean_text=False), "not BERT's"),
        (tokenizer_json(pre_tokenizer="Whitespace"), "pre-tokenizer Whitespace"),
        (
            tokenizer_json(added=[{"id": 8, "content": "new", "special": False}]),
            "'new' is neither a special token",
        ),
        (tokenizer_json(added=[{"id": 9, "content": "[X]", "special": True}]), "without gaps"),
        ([1], "JSON object"),
    ],
)
def test_a_tokenizer_that_is_not_berts_is_refused(tmp_path, content, message):
    write_json(tmp_path / "tokenizer.json", content)
    with pytest.raises(PresetError, match=message):
        load_vocabulary(tmp_path)


@pytest.mark.parametrize("name", ["spiece.model", "merges.txt"])
def test_a_folder_of_another_kind_of_tokenizer_is_refused(tmp_path, name):
    (tmp_path / name).write_text("x", encoding="utf-8")
    with pytest.raises(PresetError, match=name):
        load_vocabulary(tmp_path)


def test_missing_empty_and_undecodable_places_are_named(tmp_path):
    with pytest.raises(PresetError, match="no such file"):
        load_vocabulary(tmp_path / "absent")
    with pytest.raises(PresetError, match="no vocabulary"):
        load_vocabulary(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\n")
    with pytest.raises(PresetError, match="Not UTF-8"):
        load_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(PresetError, match="Not JSON"):
        load_vocabulary(tmp_path)


@pytest.mark.parametrize(
    ("pieces", "config", "expected"),
    [
        (PIECES, {"lowercase": True, "strip_accents": False}, (True, True)),
        ([*PIECES, "für"], {"lowercase": True, "strip_accents": False}, (True, False)),
        ([*PIECES, "für"], {"lowercase": True, "strip_accents": True}, (True, True)),
        (PIECES, {"lowercase": False, "strip_accents": False}, (False, False)),
    ],
)
def test_a_keras_hub_preset_strips_accents_if_its_pieces_have_none(tmp_path, pieces, config, expected):
    write_vocabulary(tmp_path, pieces, "assets/tokenizer/vocabulary.txt")
    write_json(tmp_path / "tokenizer.json", keras_hub_json(**config))
    vocabulary = load_vocabulary(tmp_path)
    assert (vocabulary.lowercase, vocabulary.strip_accents) == expected
    assert vocabulary.pieces == tuple(pieces)


def test_a_keras_hub_preset_of_another_tokenizer_is_refused(tmp_path):
    write_vocabulary(tmp_path, PIECES, "assets/tokenizer/merges.txt")
    write_json(tmp_path / "tokenizer.json", {"class_name": "RobertaTokenizer", "config": {}})
    with pytest.raises(PresetError, match="RobertaTokenizer, not BERT's"):
        load_vocabulary(tmp_path)


def test_what_keras_hub_saves_is_read(tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    keras_hub.models.BertTokenizer(vocabulary=PIECES, lowercase=True).save_to_preset(str(tmp_path))
    vocabulary = load_vocabulary(tmp_path)
    assert (vocabulary.pieces, vocabulary.lowercase, vocabulary.cls) == (tuple(PIECES), True, "[CLS]")


def test_the_caller_may_override_case_and_accents(tmp_path):
    path = write_vocabulary(tmp_path)
    vocabulary = load_vocabulary(path, lowercase=True, strip_accents=False)
    assert (vocabulary.lowercase, vocabulary.strip_accents) == (True, False)
    assert not load_vocabulary(path, lowercase=False).strip_accents


def test_reading_a_vocabulary_does_not_import_tensorflow():
    code = (
        "import sys, kerasft.text.tokenizers.vocabulary\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
