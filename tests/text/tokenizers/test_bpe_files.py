"""Byte-level BPE is trained, written and read again; folders that do more than that are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf
from bpe_oracle import SENTENCES, load_reference, train_bpe
from tokenizer_oracle import encode_with_reference

from kerasft.errors import DataError, PresetError
from kerasft.text.tokenizers.bpe_files import find_pattern, read_byte_bpe
from kerasft.text.tokenizers.bpe_vocabulary import map_bytes
from kerasft.text.tokenizers.byte_bpe import ByteBpe
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.loading import load_tokenizer
from kerasft.text.tokenizers.patterns import PATTERNS
from kerasft.text.tokenizers.training import train_tokenizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return train_bpe(tmp_path_factory.mktemp("bpe") / "tokenizer", "smollm", size=400)


def change(trained: Path, folder: Path, **changes) -> Path:
    """The trained folder's tokenizer.json with other values; keys may be paths, `model.dropout`."""
    whole = json.loads((trained / "tokenizer.json").read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = whole
        for parent in parents:
            place = place[parent]
        place[last] = value
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    return folder


def test_training_twice_gives_the_same_files(trained, tmp_path) -> None:
    second = train_bpe(tmp_path / "second", "smollm", size=400)
    names = ["merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"]
    assert sorted(path.name for path in second.iterdir()) == names
    for name in ("tokenizer.json", "merges.txt"):
        assert (second / name).read_bytes() == (trained / name).read_bytes()


def test_the_size_is_as_asked_and_the_end_of_a_text_comes_first(trained) -> None:
    vocabulary = read_byte_bpe(trained)
    assert (vocabulary.size, vocabulary.end, vocabulary.special) == (400, 0, {0})
    assert vocabulary.pattern == "smollm"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_pattern_is_read_as_it_was_written(tmp_path, pattern) -> None:
    folder = train_bpe(tmp_path / "a", pattern, size=260)
    assert find_pattern(json.loads((folder / "tokenizer.json").read_text())["pre_tokenizer"]) == pattern


def test_an_empty_corpus_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="the texts are empty"):
        train_tokenizer(TokenizerConfig(type="byte_bpe"), ["", ""], tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_bytes_are_named_as_in_tokenizers() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(map_bytes().values()) == sorted(ByteLevel.alphabet())
    spelled = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("aÿ \n\x7f中\xad")[0][0]
    assert spelled == "".join(map_bytes()[byte] for byte in "aÿ \n\x7f中\xad".encode())


def test_vocab_json_and_merges_txt_are_read_as_gpt2s(tmp_path) -> None:
    folder = train_bpe(tmp_path / "a", "gpt2", size=400)
    whole = ByteBpe(read_byte_bpe(folder))
    (folder / "tokenizer.json").unlink()
    two_files = load_tokenizer(folder)
    assert two_files.fingerprint == whole.fingerprint
    assert two_files.tokenize(SENTENCES).to_list() == whole.tokenize(SENTENCES).to_list()


def test_merges_written_as_pairs_and_as_words_are_the_same(trained, tmp_path) -> None:
    merges = json.loads((trained / "tokenizer.json").read_text())["model"]["merges"]
    words = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    folder = change(trained, tmp_path, model__merges=words)
    assert read_byte_bpe(folder).merges == read_byte_bpe(trained).merges


def test_special_tokens_around_a_text_are_those_of_the_template(trained, tmp_path) -> None:
    added = [
        {
            "id": place,
            "content": name,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
        }
        | {"normalized": False}
        for place, name in enumerate(["<|endoftext|>"])
    ] + [
        {"id": 400, "content": "<|begin|>", "special": True, "single_word": False, "lstrip": False}
        | {"rstrip": False, "normalized": False}
    ]
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|begin|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|begin|>": {"id": "<|begin|>", "ids": [400], "tokens": ["<|begin|>"]}},
    }
    processor = {
        "type": "Sequence",
        "processors": [
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            template,
        ],
    }
    folder = change(trained, tmp_path, added_tokens=added, post_processor=processor)
    tokenizer = load_tokenizer(folder)
    assert tokenizer.special_ids.begin == tokenizer.special_ids.cls == 400
    reference = load_reference(folder)
    assert tokenizer.encode_ragged(tf.constant(SENTENCES), 1000).to_list() == [
        reference.encode(text).ids for text in SENTENCES
    ]
    assert tokenizer.tokenize(SENTENCES).to_list() == encode_with_reference(reference, SENTENCES)
    assert (
        tokenizer.decode(tokenizer.encode_ragged(tf.constant(SENTENCES), 1000)).numpy()[0].decode()
        == SENTENCES[0]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalizer": {"type": "NFC"}}, r"normalises text \(NFC\)"),
        ({"model__byte_fallback": True}, "falls back to bytes"),
        ({"model__end_of_word_suffix": "</w>"}, "marks tokens that end a word"),
        ({"model__dropout": 0.1}, "leaves merges out"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "splits text by Metaspace"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "puts a space before each text"),
        (
            {"added_tokens": [{"id": 400, "content": "    ", "special": False}]},
            r"adds the word '    ' to its vocabulary",
        ),
        ({"added_tokens": [{"id": 500, "content": "<x>", "special": True}]}, "without gaps"),
        ({"model__merges": ["a zzz"]}, "not in a known form"),
        ({"model__vocab": {"ab": 0}}, "no token for any byte"),
        ({"model__type": "WordLevel"}, "is WordLevel, which kerasft does not support"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(trained, tmp_path, changes, message) -> None:
    if "model__vocab" in changes:
        changes = {**changes, "model__merges": [], "added_tokens": []}
    with pytest.raises(PresetError, match=message) as caught:
        load_tokenizer(change(trained, tmp_path, **changes))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("unknown", [None, "<|endoftext|>"])
def test_bytes_without_a_token_are_left_out_or_unknown_as_in_tokenizers(trained, tmp_path, unknown) -> None:
    whole = json.loads((trained / "tokenizer.json").read_text())
    names = map_bytes()
    gone = {names[byte] for byte in (0x00, ord("q"), 0xE4, ord("5"))}
    left = [piece for piece in whole["model"]["vocab"] if not gone & set(piece)]
    merges = [m for m in whole["model"]["merges"] if not gone & set("".join(m))]
    changes = {"model__vocab": {piece: place for place, piece in enumerate(left)}, "model__merges": merges}
    folder = change(trained, tmp_path, **changes, model__unk_token=unknown)
    texts = [*SENTENCES, "q", "", "aqb q5 \x00中q the qqthe5 5", "5", "中"]
    tokenizer, reference = load_tokenizer(folder), load_reference(folder)
    assert tokenizer.tokenize(texts).to_list() == encode_with_reference(reference, texts)


def test_another_pattern_is_refused(trained, tmp_path) -> None:
    split = {"type": "Split", "pattern": {"Regex": r"\d+"}, "behavior": "Isolated", "invert": False}
    steps = [split, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]
    folder = change(trained, tmp_path, pre_tokenizer={"type": "Sequence", "pretokenizers": steps})
    with pytest.raises(PresetError, match=r"splits text by the pattern \\d\+"):
        load_tokenizer(folder)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path) -> None:
    with pytest.raises(PresetError, match="contains no tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(PresetError, match="no such folder"):
        load_tokenizer(tmp_path / "missing")


def test_a_trained_wordpiece_is_loaded_too(tmp_path) -> None:
    train_tokenizer(TokenizerConfig(type="wordpiece", vocabulary_size=200), SENTENCES[:2] * 3, tmp_path / "a")
    tokenizer = load_tokenizer(tmp_path / "a")
    assert tokenizer.decode(tokenizer.tokenize(["the waves"])).numpy().tolist() == [b"the waves"]
