"""Causal language models: what is predicted of an example, windows, rows, and what a run leaves behind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_causal

import kerasft
from kerasft.data.cache import ArrayRows
from kerasft.data.feed import BatchMoment
from kerasft.data.prepared import load_prepared_dataset
from kerasft.data.streams import make_stream
from kerasft.errors import ConfigError, DataError
from kerasft.progress import Silent
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.tasks.causal_lm.feed import INPUTS, DocumentFeed, PackedFeed
from kerasft.tasks.token_losses import (
    NextTokenAccuracy,
    NextTokenCrossentropy,
    TokenAccuracy,
    TokenCrossentropy,
)
from kerasft.text.chat_templates import ChatTemplate
from kerasft.text.long_texts import LongTexts, split_text
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary
from kerasft.text.tokenizers.byte_bpe import ByteBpe
from kerasft.text.tokenizers.characters import Characters, CharacterVocabulary
from kerasft.text.tokenizers.special import list_special_tokens, name_special_tokens
from kerasft.text.tokenizers.unigram import Unigram
from kerasft.text.tokenizers.unigram_vocabulary import SPACE, UnigramVocabulary
from kerasft.training.trained import Trained, load_trained, open_feed

END = 0
SPECIALS = ("<|endoftext|>", "<|start|>", "<|end|>")


@pytest.fixture(scope="module")
def tokenizer() -> ByteBpe:
    """A token for each byte, from 3 on, and `the` merged."""
    tokens = [token.encode() for token in SPECIALS] + [bytes([byte]) for byte in range(256)]
    index = {token: place for place, token in enumerate(tokens)}
    merges = ((index[b"t"], index[b"h"]), (len(tokens), index[b"e"]))
    tokens += [b"th", b"the"]
    return ByteBpe(ByteBpeVocabulary(tuple(tokens), merges, frozenset({0, 1, 2}), begin=END, end=END))


@pytest.fixture(scope="module")
def bare() -> ByteBpe:
    """The same without any special token."""
    return ByteBpe(ByteBpeVocabulary(tuple(bytes([byte]) for byte in range(256)), ()))


def spell(tokenizer: ByteBpe, ids: Any) -> list[str]:
    tokens = tokenizer.vocabulary.tokens
    return [tokens[number].decode() for number in np.asarray(ids).tolist()]


def encode(tokenizer: Any, kind: str, context: int, **example: Any) -> Any:
    template = None
    if kind == "chat":
        template = ChatTemplate(tiny_causal.TEMPLATE, list_special_tokens(tokenizer), {})
    return Encoder(tokenizer, kind, context, template).encode([example])[0]


# --- what is predicted ------------------------------------------------------------------------------------------


def test_a_text_begins_and_ends_with_special_tokens_and_all_but_the_first_is_predicted(
    tokenizer: ByteBpe,
) -> None:
    found = encode(tokenizer, "text", 4, text="the é")
    assert found.token_ids.tolist()[:1] == [END] == found.token_ids.tolist()[-1:]
    assert spell(tokenizer, found.token_ids[1:3]) == ["the", " "]
    assert found.asked.tolist() == [False] + [True] * 5
    assert found.num_bytes == 6


def test_a_text_without_special_tokens_does_not_count_its_first_token(bare: ByteBpe) -> None:
    found = encode(bare, "text", 4, text="é!")
    assert found.asked.tolist() == [False, True, True]
    assert found.num_bytes == 2


def test_of_a_completion_the_prompt_is_read_and_its_end_is_predicted(tokenizer: ByteBpe) -> None:
    found = encode(tokenizer, "completion", 16, prompt="ab", completion="the c")
    assert spell(tokenizer, found.token_ids) == [SPECIALS[0], "a", "b", "the", " ", "c", SPECIALS[0]]
    assert found.asked.tolist() == [False] * 3 + [True] * 4
    assert found.num_bytes == 5


def test_a_long_prompt_is_cut_from_its_left(tokenizer: ByteBpe) -> None:
    found = encode(tokenizer, "completion", 6, prompt="abcdefgh", completion="xyz")
    # six tokens are read: of seven the last is only predicted
    assert spell(tokenizer, found.token_ids) == [SPECIALS[0], "g", "h", "x", "y", "z", SPECIALS[0]]
    assert (found.was_cut, found.too_long, found.asked.sum()) == (6, 0, 4)
    whole = encode(tokenizer, "completion", 6, prompt="abcdefgh", completion="vwxyz")
    assert spell(tokenizer, whole.token_ids)[:2] == [SPECIALS[0], "v"]


def test_a_completion_that_does_not_fit_is_refused(tokenizer: ByteBpe) -> None:
    found = encode(tokenizer, "completion", 6, prompt="a", completion="uvwxyz")
    assert (found.too_long, len(found.token_ids)) == (7, 0)
    with pytest.raises(DataError, match="the completion is too long: 7 tokens, its end included"):
        Encoder(tokenizer, "completion", 6).check({"prompt": "a", "completion": "uvwxyz"})


def test_of_a_conversation_the_answers_and_their_ends_are_predicted(tokenizer: ByteBpe) -> None:
    messages = [("user", "<|end|>"), ("assistant", "the"), ("user", "b"), ("assistant", "é")]
    found = encode(tokenizer, "chat", 200, messages=messages)
    assert found.num_bytes == 5
    said = tokenizer.spell(found.token_ids[found.asked]).numpy().tolist()
    assert said == [b"the", b"", b"\xc3", b"\xa9", b""]  # special tokens spell nothing
    assert found.token_ids[found.asked][[1, 4]].tolist() == [2, 2]
    assert (found.token_ids == 1).sum() == 4
    assert (found.token_ids == 2).sum() == 4  # what the user spells out is text
    short = encode(tokenizer, "chat", 8, messages=messages)
    assert short.was_cut
    assert short.asked.sum() == 3
    assert encode(tokenizer, "chat", 2, messages=messages).too_long


def test_long_texts_have_the_tokens_of_the_whole(tokenizer: ByteBpe) -> None:
    text = " ".join(row["text"] for row in tiny_causal.make_rows("text", 200)) + "\n\nthe  end \u4f60\u597d"
    parts = split_text(text, 100)
    assert len(parts) > 30
    characters = Characters(CharacterVocabulary(tuple(sorted({*text}))))
    pieces = ("<unk>", SPACE, *sorted({*text} - {" ", "\n"}), f"{SPACE}the", f"{SPACE}film", "ing")
    scores = tuple(-float(len(pieces) - place) for place in range(len(pieces)))
    unigram = Unigram(UnigramVocabulary(pieces, scores, frozenset({0}), unknown=0, splits_words=True))
    for each in (tokenizer, characters, unigram):
        (whole,) = LongTexts(each).tokenize([text])
        np.testing.assert_array_equal(np.concatenate(list(LongTexts(each).tokenize(parts))), whole)


def test_names_of_special_tokens(tokenizer: ByteBpe) -> None:
    assert list_special_tokens(tokenizer) == {token: place for place, token in enumerate(SPECIALS)}
    named = name_special_tokens(tokenizer)
    assert (named["bos_token"], named["eos_token"]) == ("<|endoftext|>", "<|endoftext|>")


def test_loss_and_accuracy_are_those_of_the_logits() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(3, 5, 7)).astype(np.float32)
    labels = generator.integers(-1, 7, (3, 5)).astype(np.int32)
    told = np.take_along_axis(logits, np.maximum(labels, 0)[..., None], -1)[..., 0]
    losses = np.log(np.exp(logits).sum(-1)) - told
    right = (logits.argmax(-1) == labels).astype(np.float32)
    outputs = np.where(labels[..., None] >= 0, np.stack([losses, right], -1), 0)
    assert 0 < (labels < 0).sum() < 15
    assert right.sum() > 0
    np.testing.assert_allclose(
        NextTokenCrossentropy()(labels, outputs), TokenCrossentropy()(labels, logits), rtol=1e-6
    )
    shares = []
    for metric, predicted in ((NextTokenAccuracy(), outputs), (TokenAccuracy(), logits)):
        metric.update_state(labels, predicted)
        shares.append(float(metric.result()))
    assert shares[0] == shares[1] == pytest.approx(right[labels >= 0].mean())


# --- rows -------------------------------------------------------------------------------------------------------


def make_feed(lengths: list[int], context: int, *, asked: bool = False) -> DocumentFeed:
    documents = [np.arange(100 * n, 100 * n + length, dtype=np.int32) for n, length in enumerate(lengths, 1)]
    columns: dict[str, Any] = {"token_ids": documents}
    if asked:
        columns["asked"] = [(np.arange(length) >= length // 2).astype(np.uint8) for length in lengths]
    scored = [max(length - (length // 2 if asked else 1), 0) for length in lengths]
    columns |= {"tokens": np.array(scored), "bytes": np.array([3 * count for count in scored])}
    return DocumentFeed(ArrayRows(columns), context, padding_id=7)


def test_windows_predict_each_token_once_and_overlap_by_one() -> None:
    feed = make_feed([1, 5, 0, 6, 12], 5)
    assert feed.lengths.tolist() == [1, 4, 1, 5, 5, 5, 1]
    assert [feed.find_example(row) for row in range(len(feed))] == [0, 1, 2, 3, 4, 4, 4]
    batch = feed.collate(np.arange(len(feed)), 5, BatchMoment(0, 0))
    assert batch["targets"][batch["targets"] >= 0].tolist() == [
        *range(201, 205),
        *range(401, 406),
        *range(501, 512),
    ]
    assert batch["token_ids"][4].tolist() == [500, 501, 502, 503, 504]
    assert batch["token_ids"][5].tolist() == [505, 506, 507, 508, 509]
    assert batch["token_ids"][2].tolist() == [7] * 5
    assert batch["text_ids"].sum(1).tolist() == [1, 4, 1, 5, 5, 5, 1]
    assert batch["position_ids"][1].tolist() == [0, 1, 2, 3, 0]


def test_what_is_not_asked_has_no_target() -> None:
    feed = make_feed([6, 9], 16, asked=True)
    batch = feed.collate(np.arange(2), 8, BatchMoment(0, 0))
    assert batch["targets"][0].tolist() == [-1, -1, 103, 104, 105, -1, -1, -1]
    assert (batch["targets"] >= 0).sum(1).tolist() == [feed.get_reference(n).tokens for n in range(2)]


def test_outputs_of_windows_are_joined_in_order() -> None:
    feed = make_feed([1, 12, 4], 5)
    stream = make_stream(feed, 2, shuffle=False)
    batches = [(rows, {name: stream.batch(step)[name] for name in ("targets", "token_ids")})
               for step, rows in enumerate(stream.plan.batches)]  # fmt: skip
    joined = dict(found for part in feed.join(batches) for found in part)
    assert sorted(joined) == [0, 1, 2]
    assert joined[1]["targets"].tolist() == list(range(201, 212))
    assert joined[1]["token_ids"].tolist() == list(range(200, 211))
    assert (joined[1]["tokens"], joined[1]["bytes"], len(joined[0]["targets"])) == (11, 33, 0)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_packed_rows_hold_each_prediction_once(epoch: int) -> None:
    feed = make_feed([1, 30, 5, 3, 17, 8, 9], 8)
    packed = PackedFeed(feed, 8, seed=4)
    assert len(packed) == math.ceil(packed.lengths.sum() / 8)  # here not a place is wasted that need not be
    batch = packed.collate(np.arange(len(packed)), 8, BatchMoment(epoch, 0))
    told = batch["targets"] >= 0
    pairs = zip(batch["token_ids"][told].tolist(), batch["targets"][told].tolist(), strict=True)
    wanted = [100 * n + k for n, length in enumerate([1, 30, 5, 3, 17, 8, 9], 1) for k in range(1, length)]
    assert sorted(pairs) == [(target - 1, target) for target in wanted]
    for texts, places, ids in zip(batch["text_ids"], batch["position_ids"], batch["token_ids"], strict=True):
        for number in range(1, texts.max() + 1):
            inside = np.flatnonzero(texts == number)
            assert places[inside].tolist() == list(range(len(inside)))
            assert np.diff(ids[inside]).tolist() == [1] * (len(inside) - 1)
    other = packed.collate(np.arange(len(packed)), 8, BatchMoment(epoch + 1, 0))
    assert (batch["token_ids"] != other["token_ids"]).any()


def test_nothing_to_learn_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        PackedFeed(make_feed([1, 0], 8), 8, seed=0)


# --- a run ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny_causal_run) -> Trained:
    return load_trained(tiny_causal_run)


def test_a_document_is_scored_token_by_token(trained: Trained) -> None:
    text = "the film was good in the evening and we would come back"
    (output,) = trained.answer([{"text": text}])
    assert len(output["targets"]) == output["tokens"] == len(text) + 1
    assert output["bytes"] == len(text)
    characters = trained.task.tokenizer
    assert b"".join(characters.spell(output["targets"]).numpy()).decode() == text
    (prediction,) = trained.task.decode([output])
    assert "".join(token["text"] for token in prediction["shown"]) == text + "<end>"
    assert prediction["bits_per_byte"] == pytest.approx(output["log_loss"].sum() / math.log(2) / len(text))
    assert prediction["log_loss"] == pytest.approx(output["log_loss"].mean())


def test_a_character_of_several_tokens_is_shown_as_one(tokenizer: ByteBpe) -> None:
    from kerasft.tasks.causal_lm.answers import ScoredTexts

    ids = tokenizer.tokenize(["a\u4f60"]).values.numpy()
    output = {
        "targets": np.append(ids, END), "log_loss": np.arange(5, dtype=np.float32), "right": np.ones(5, bool),
        "tokens": 5, "bytes": 4,
    }  # fmt: skip
    (prediction,) = ScoredTexts(tokenizer, "text").decode([output])
    assert [(token["text"], token["log_loss"]) for token in prediction["shown"]] == [
        ("a", 0.0), ("\u4f60", 6.0), ("<|endoftext|>", 4.0)
    ]  # fmt: skip
    cut = {**output, "targets": ids[:3], "log_loss": output["log_loss"][:3], "right": output["right"][:3]}
    (prediction,) = ScoredTexts(tokenizer, "text").decode([cut])
    assert [token["text"] for token in prediction["shown"]] == ["a", "\ufffd"]


def test_predict_tells_how_well_a_text_is_known(tiny_causal_run) -> None:
    run = kerasft.load_run(tiny_causal_run.path)
    known, strange = run.predict(["the film was good", "zq!zq!zq!zq!"])
    assert known["tokens"] == 18
    assert set(known) == {"text", "log_loss", "bits_per_byte", "tokens"}
    assert 0 < known["log_loss"] < strange["log_loss"]


def test_training_rows_are_packed_and_cut_anew_in_each_epoch(trained: Trained, tmp_path: Path) -> None:
    dataset = load_prepared_dataset(trained.run.dataset)

    def open_split(name: str) -> Any:
        return open_feed(trained.task, dataset, name, tmp_path, Silent())

    model = trained.task.build_model(seed=0, matmul_dtype="float32")
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig

    config = load_config(ExperimentConfig, trained.run.path).config
    (phase,) = trained.task.open_phases(model, config.train, open_split, seed=1)
    feed = phase.train
    assert isinstance(feed, PackedFeed)
    assert feed.lengths.max() <= 32
    assert len(feed) < len(open_split("train"))
    one, other = (feed.collate(np.arange(4), 32, BatchMoment(epoch, 0)) for epoch in (0, 1))
    assert set(one) == set(INPUTS)
    assert (one["token_ids"] != other["token_ids"]).any()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model={size: {}, preset: x}"], "give one of the two"),
        (["model={family: gpt2}"], "give one of the two"),
        (["model={preset: x, family: gpt2}"], "says itself what it is"),
        (["model={size: {width: 30, heads: 4}}"], "not a multiple of heads"),
        (["model={size: {width: 64, heads: 4, kv_heads: 3}}"], "not a multiple of kv_heads"),
        (["model={family: gpt2, size: {kv_heads: 2}}"], "as many heads of keys as of queries"),
        (["model={size: {width: 36, heads: 4}}"], "rotary positions need an even number"),
        (["model={size: {}, adaptation: lora}"], "learns as a whole"),
        (["tokenizer={type: wordpiece}"], "WordPiece tokens cannot be written back as text"),
        (["tokenizer={type: preset}"], "no preset whose tokenizer it could take"),
        (["tokenizer={type: characters, vocabulary_size: 300}"], "only for type"),
        (["tokenizer={vocabulary_size: 200}"], "at least 257"),
        (["model={preset: x}"], "a preset has its own tokenizer"),
        (["task.input=chat"], "needs a preset with a chat template"),
        (["train.monitor=f1"], "has no figure 'f1'"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(
    load_causal_experiment, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_causal_experiment(*overrides)


def test_what_a_config_leaves_out(load_causal_experiment) -> None:
    config = load_causal_experiment("tokenizer={}", "model={size: {}}")
    assert (config.tokenizer.kind, config.tokenizer.settle().type) == ("byte_bpe", "byte_bpe")
    assert (config.model.new_family, config.model.choose_context(9999)) == ("own", 128)
    assert config.train.monitor == "log_loss"
    preset = load_causal_experiment("tokenizer={}", "model={preset: x}")
    assert [preset.model.choose_context(most) for most in (77, 9999)] == [77, 1024]
    assert load_causal_experiment("model.context=40").model.choose_context(9999) == 40


class Remembering(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)

    warn = note


@pytest.mark.slow
def test_examples_that_are_too_long_are_told(tmp_path: Path) -> None:
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.pipeline import finetune

    path = tiny_causal.write_experiment(tmp_path / "experiment", "completion")
    long = [
        {"prompt": "why " * 50, "completion": "because"},
        {"prompt": "why", "completion": "because " * 50},
    ]
    with open(path.parent / "train.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in long)
    config = load_config(ExperimentConfig, path, ["train.epochs=1"]).config
    run, progress = RunFolder(tmp_path / "run"), Remembering()
    with run.owned():
        finetune(config, run, progress)
    assert any("1 of 66 examples are left out" in text and "train.jsonl:66" in text for text in progress.told)
    assert any("are longer than model.context (32)" in text for text in progress.told)
