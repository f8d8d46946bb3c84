"""RoBERTa and XLM-RoBERTa: presets in both forms, the numbers of `transformers`, and back to keras-hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
import tiny_bert
import tiny_roberta
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer as Reference
from tolerances import TINY_BERT

from kerasft.errors import PresetError
from kerasft.models.text.families import find_family
from kerasft.models.text.masked_heads import build_fast_masked_lm, build_hub_masked_lm, load_head
from kerasft.models.text.presets import load_text_backbone
from kerasft.text.token_words import list_token_words

pytestmark = pytest.mark.numerical

NAMES = ("roberta", "xlm_roberta")
IDS = np.array([[0, 17, 250, 29, 4, 308, 2], [0, 33, 4, 2, 1, 1, 1]], np.int32)
HIDDEN = {
    (0, 4): [-0.55875, 0.05870, -0.38495, 1.23718, -0.40830, -0.21607],
    (1, 0): [-0.70323, -1.31600, -0.17579, 0.23182, -0.22397, -0.23475],
}
LOGITS = {
    (0, 4, 0): [-0.76547, -0.24758, -0.13419, 0.37540, 0.85879, 0.78960],
    (1, 2, 300): [-0.27095, 0.14568, -0.67067, 0.79366, 0.49239, 1.71992],
}
"""(row, place, first) → six numbers that transformers 5.24 gives of the tiny net, hidden states and logits; the two
families are one net."""
TEXTS = [
    "",
    " ",
    "the film was good , the soup bland",
    *tiny_roberta.EXTRA,
    "  two  spaces\nand\ttabs  ",
    "<s> spelled out </s> <mask>",
    "ſﬁ½①ｶﾞ \u3000 ا",
    *tiny_bert.write_texts(30, seed=9)[0],
]


@pytest.fixture(scope="module", params=NAMES)
def preset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_roberta.write_preset(tmp_path_factory.mktemp("presets") / request.param, request.param)


def load_hub(folder: Path) -> Any:
    hub = build_hub_masked_lm(load_text_backbone(folder))
    assert load_head(hub, folder)
    return hub


def ask(model: Any, ids: np.ndarray = IDS) -> np.ndarray:
    places = np.tile(np.arange(ids.shape[1], dtype=np.int32), (len(ids), 1))
    batch = {
        "token_ids": ids,
        "padding_mask": (ids != 1).astype(np.int32),
        "position_ids": places,
        "mask_positions": places,
    }
    return model({name: tf.constant(batch[name]) for name in model.input}, training=False).numpy()


def encode(tokenizer: Any, texts: list[str] = TEXTS) -> list[list[int]]:
    return tokenizer.tokenize(tf.constant(texts)).to_list()


def test_hidden_states_and_logits_are_those_of_transformers(preset: Path) -> None:
    hub, family = load_hub(preset), find_family(preset)
    inputs = {"token_ids": IDS, "padding_mask": (IDS != 1).astype(np.int32)}
    states = family.build_fast_encoder(hub.backbone, pooled=False)(inputs).numpy()
    logits = ask(build_fast_masked_lm(hub, dropout=0.0, seed=0))
    for (row, place), expected in HIDDEN.items():
        np.testing.assert_allclose(states[row, place, :6], expected, atol=2e-5)
    for (row, place, first), expected in LOGITS.items():
        np.testing.assert_allclose(logits[row, place, first : first + 6], expected, atol=2e-5)
    tokens = IDS != 1
    np.testing.assert_allclose(ask(hub)[tokens], logits[tokens], atol=TINY_BERT)
    assert hub.backbone.max_sequence_length == tiny_roberta.POSITIONS


def test_what_is_written_is_read_again_by_kerasft_and_by_keras_hub(preset: Path, tmp_path: Path) -> None:
    hub, family = load_hub(preset), find_family(preset)
    tokenizer = family.load_tokenizer(preset)
    family.save_preset(hub, tokenizer, tmp_path)
    assert find_family(tmp_path) is family
    np.testing.assert_array_equal(ask(load_hub(tmp_path)), ask(hub))
    again = family.load_tokenizer(tmp_path)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.special_ids == tokenizer.special_ids

    theirs = getattr(keras_hub.models, family.hub_masked_lm).from_preset(str(tmp_path), preprocessor=None)
    np.testing.assert_allclose(ask(theirs), ask(hub), atol=TINY_BERT)
    names = keras_hub.models.Tokenizer.from_preset(str(tmp_path))
    assert type(names).__name__ == family.hub_tokenizer
    assert names.vocabulary_size() == tokenizer.vocabulary_size
    ids = tokenizer.special_ids
    assert (names.start_token_id, names.pad_token_id, names.end_token_id) == (
        ids.cls,
        ids.padding,
        ids.separator,
    )
    assert names.mask_token_id == ids.mask
    plain = [text for text in TEXTS if "<" not in text and text.strip()]
    assert [list(map(int, names(text))) for text in plain] == encode(tokenizer, plain)


def test_ids_of_byte_level_bpe_are_those_of_tokenizers(tmp_path: Path) -> None:
    folder = tiny_roberta.write_preset(tmp_path / "preset")
    reference = Reference.from_file(str(folder / "tokenizer.json"))
    reference.encode_special_tokens = True
    tokenizer = find_family(folder).load_tokenizer(folder)
    framed = tokenizer.encode_ragged(tf.constant(TEXTS), 999).to_list()
    assert framed == [reference.encode(text).ids for text in TEXTS]
    # the same from vocab.json and merges.txt, which say nothing of special tokens
    (folder / "tokenizer.json").unlink()
    tiny_roberta.write_two_files(folder)
    assert (
        find_family(folder).load_tokenizer(folder).encode_ragged(tf.constant(TEXTS), 999).to_list() == framed
    )


def test_ids_of_a_sentencepiece_model_are_numbered_as_fairseq_does(tmp_path: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    folder = tiny_roberta.write_preset(tmp_path / "preset", "xlm_roberta")
    reference = SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    tokenizer = find_family(folder).load_tokenizer(folder)
    assert encode(tokenizer) == [[3 if i == 0 else i + 1 for i in reference.encode(text)] for text in TEXTS]
    assert tokenizer.special_ids[:5] == (3, 0, 2, 1, reference.get_piece_size() + 1)


def test_a_vector_of_segments_is_added_to_the_positions(tmp_path: Path) -> None:
    folder = tiny_roberta.write_preset(tmp_path / "preset")
    name = "roberta.embeddings.token_type_embeddings.weight"
    tensors = load_file(folder / "model.safetensors")
    positions = tensors["roberta.embeddings.position_embeddings.weight"]
    backbone = load_text_backbone(folder)
    found = find_family(folder).find_embeddings(backbone)["position"].numpy()
    np.testing.assert_allclose(found, positions[2:] + tensors[name], atol=1e-7)
    tensors[name] = tensors[name][:, :5].copy()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(PresetError, match="token_type_embeddings"):
        load_text_backbone(folder)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"pad_token_id": 0}, "pad_token_id is 0"),
        ({"max_position_embeddings": 2}, "the first 2 stand for no position"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
    ],
)
def test_nets_that_would_be_computed_otherwise_are_refused(tmp_path: Path, config: dict, words: str) -> None:
    with pytest.raises(PresetError, match=words):
        load_text_backbone(tiny_roberta.write_preset(tmp_path, **config))


def test_a_tokenizer_without_the_tokens_around_a_text_is_refused(tmp_path: Path) -> None:
    folder = tiny_roberta.write_preset(tmp_path)
    tiny_roberta.write_two_files(folder)
    path = folder / "vocab.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"</s>"', '"[end]"'), encoding="utf-8")
    with pytest.raises(PresetError, match="lacks </s>, which stand"):
        find_family(folder).load_tokenizer(folder)


def test_tasks_that_need_places_of_words_refuse_it(preset: Path) -> None:
    with pytest.raises(PresetError, match="does not say where words stand"):
        find_family(preset).load_unit_tokenizer(preset, split_characters=False)


def test_a_mask_takes_the_place_of_the_space_before_it(preset: Path) -> None:
    from kerasft.tasks.masked_lm.encoding import MaskedEncoder

    tokenizer = find_family(preset).load_tokenizer(preset)
    words = list_token_words(tokenizer)
    assert words.mask == "<mask>"
    encoder = MaskedEncoder(tokenizer, 32, words, special_tokens=True)
    ids, mask = tokenizer.special_ids, tokenizer.special_ids.mask
    ((found,), (start,)) = encoder.cut_questions(["the film was  <mask> and good", "<mask> film"])
    first, last = encode(tokenizer, ["the film was", " and good"])
    assert found.tolist() == [ids.cls, *first, mask, *last, ids.separator]
    assert start.tolist() == [ids.cls, mask, *encode(tokenizer, [" film"])[0], ids.separator]


def test_an_unigram_of_other_numbers_is_not_written_as_keras_hubs(tmp_path: Path) -> None:
    from kerasft.text.tokenizers.config import TokenizerConfig
    from kerasft.text.tokenizers.training import train_tokenizer

    folder = tmp_path / "preset"
    train_tokenizer(TokenizerConfig(type="unigram", vocabulary_size=120), tiny_roberta.list_texts(), folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}))
    family = find_family(folder)
    tokenizer = family.load_tokenizer(folder)
    assert json.loads((folder / "tokenizer.json").read_text())["model"]["type"] == "Unigram"
    with pytest.raises(PresetError, match="not numbered as XLM-RoBERTa's"):
        family.save_tokenizer(tokenizer, tmp_path / "written")
