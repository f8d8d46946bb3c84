"""Masked language models: windows, masks that are asked for, measuring, and what a run leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_bert
import tiny_distilbert
import tiny_masked

import kerasft
from kerasft.config.loading import load_config
from kerasft.data.feed import BatchMoment
from kerasft.data.prepared import load_prepared_dataset
from kerasft.data.streams import collect_outputs
from kerasft.errors import ConfigError, DataError
from kerasft.experiment import ExperimentConfig
from kerasft.models.text.masked_heads import build_hub_masked_lm
from kerasft.models.text.presets import load_text_backbone
from kerasft.models.text.start_tokenizer import write_tokenizer
from kerasft.progress import Silent
from kerasft.tasks.masked_lm.encoding import MaskedEncoder
from kerasft.tasks.masked_lm.feed import INPUTS, PackedFeed, Reference
from kerasft.text.long_texts import split_text
from kerasft.text.masking import Replacement
from kerasft.text.token_words import list_token_words
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary, load_vocabulary
from kerasft.text.tokenizers.wordpiece import WordPiece
from kerasft.training.trained import Trained, build_task, load_trained, open_feed

PIECES = tiny_bert.PIECES


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece(WordPieceVocabulary(tuple(PIECES), lowercase=True, strip_accents=True))


@pytest.fixture(scope="module")
def trained(tiny_masked_run) -> Trained:
    return load_trained(tiny_masked_run)


def spell(ids: np.ndarray) -> list[str]:
    return [PIECES[number] for number in ids.tolist()]


def test_a_question_is_cut_into_windows_with_its_masks_in_place(tokenizer: WordPiece) -> None:
    encoder = MaskedEncoder(tokenizer, 6, list_token_words(tokenizer), special_tokens=True)
    asked, empty = encoder.cut_questions(["the film was [MASK][MASK] and good", "[MASK]"])
    assert list(map(spell, asked)) == [
        ["[CLS]", "the", "film", "was", "[MASK]", "[SEP]"],
        ["[CLS]", "[MASK]", "and", "good", "[SEP]"],
    ]
    assert list(map(spell, empty)) == [["[CLS]", "[MASK]", "[SEP]"]]


def test_a_mask_in_a_document_is_text(tokenizer: WordPiece) -> None:
    encoder = MaskedEncoder(tokenizer, 32, list_token_words(tokenizer), special_tokens=False)
    (windows,) = encoder.cut_documents(["good [MASK]"])
    assert "[MASK]" not in spell(windows[0])
    assert spell(windows[0])[0] == "good"


@pytest.mark.parametrize("special_tokens", [True, False])
def test_documents_are_cut_as_questions_without_masks_would_be(
    tokenizer: WordPiece, special_tokens: bool
) -> None:
    encoder = MaskedEncoder(tokenizer, 8, list_token_words(tokenizer), special_tokens=special_tokens)
    texts = ["", "good", *tiny_bert.write_texts(20)[0], "a " * 12]
    for one, other in zip(encoder.cut_documents(texts), encoder.cut_questions(texts), strict=True):
        assert list(map(spell, one)) == list(map(spell, other))


def test_long_texts_have_the_tokens_of_the_whole(tokenizer: WordPiece) -> None:
    text = " ".join(tiny_bert.write_texts(300)[0])
    parts = split_text(text, 200)
    assert "".join(parts) == text
    assert len(parts) > 30
    assert max(map(len, parts)) < 260
    whole = tokenizer.tokenize([text]).values.numpy()
    np.testing.assert_array_equal(
        np.concatenate([tokenizer.tokenize([p]).values.numpy() for p in parts]), whole
    )


@pytest.mark.parametrize("text", ["", "x" * 900, "… — … " * 90, "ab cd"])
def test_texts_without_a_blank_between_letters_stay_whole(text: str) -> None:
    assert split_text(text, 100) == [text]


def test_packed_rows_hold_each_window_once_with_other_masks_in_each_epoch(
    trained: Trained, tmp_path: Path
) -> None:
    dataset = load_prepared_dataset(trained.run.dataset)
    feed: Any = open_feed(trained.task, dataset, "train", tmp_path, Silent())
    packed = PackedFeed(feed, 32, trained.task.training_masker, frame=2, seed=5, share=0.3)
    assert packed.lengths.sum() == feed.lengths.sum()
    assert len(packed) < len(feed)
    rows = np.arange(len(packed))
    batches = [packed.collate(rows, 32, BatchMoment(epoch, 0)) for epoch in (0, 0, 1)]
    for name in (*INPUTS, "targets"):
        np.testing.assert_array_equal(batches[0][name], batches[1][name])
    one, other = (batches[place]["mask_positions"][:, :6] for place in (0, 2))
    assert (one != other).mean() > 0.5
    batch = batches[0]
    whole = batch["token_ids"].copy()
    told = batch["targets"] >= 0
    whole[np.nonzero(told)[0], batch["mask_positions"][told]] = batch["targets"][told]
    pieces = []
    for row, texts, places in zip(whole, batch["padding_mask"], batch["position_ids"], strict=True):
        for number in range(1, texts.max() + 1):
            pieces.append(tuple(row[texts == number].tolist()))
            assert places[texts == number].tolist() == list(range((texts == number).sum()))
    windows = [tuple(feed.windows.row("token_ids", row).tolist()) for row in range(len(feed))]
    assert sorted(pieces) == sorted(windows)
    masked = told.sum() / (whole > 4).sum()
    assert masked == pytest.approx(0.3, abs=0.03)


def test_predict_fills_masks_and_tells_how_well_it_knows_a_text(tiny_masked_run) -> None:
    run = kerasft.load_run(tiny_masked_run.path)
    filled, told = run.predict(["the film was [MASK] , [MASK]", "the film was good"])
    assert [len(mask["words"]) for mask in filled["masks"]] == [5, 5]
    for mask in filled["masks"]:
        assert mask["probabilities"] == sorted(mask["probabilities"], reverse=True)
        assert not {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} & set(mask["words"])
    first, second = (mask["words"][0].removeprefix("##") for mask in filled["masks"])
    assert filled["filled"].split() in (
        ["the", "film", "was", first, ",", second],
        ["the", "film", f"was{first}", ",", second],
        ["the", "film", "was", first, f",{second}"],
        ["the", "film", f"was{first}", f",{second}"],
    )
    assert filled["log_loss"] is None
    assert told["masks"] == []
    assert told["filled"] == "the film was good"
    assert told["log_loss"] > 0


def test_embeddings_without_a_token_are_never_answered(trained: Trained) -> None:
    """As in presets whose table was made longer, to a round number."""
    hub = build_hub_masked_lm(tiny_bert.build_backbone(vocabulary_size=len(PIECES) + 13))
    hub.masked_lm_head._bias.assign(np.where(np.arange(len(PIECES) + 13) < len(PIECES), 0.0, 50.0))
    task = trained.task
    feed = task.make_feed([{"text": "the film was [MASK]"}])
    (output,) = collect_outputs(feed, task.build_step(hub))
    assert output["ids"].max() < len(PIECES)
    (answer,) = task.decode([output])
    assert len(answer["masks"][0]["words"]) == 5


def test_a_presets_pooler_is_handed_on(trained: Trained, tiny_preset: Path) -> None:
    given, published = load_text_backbone(tiny_preset), load_text_backbone(trained.run.preset)
    for mine, theirs in zip(
        given.get_layer("pooled_dense").weights, published.get_layer("pooled_dense").weights, strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_too_many_masks_are_refused(trained: Trained) -> None:
    trained.task.read_input({"text": "[MASK] " * 100})
    with pytest.raises(DataError, match="too many masks"):
        trained.task.read_input({"text": "[MASK] " * 101})
    with pytest.raises(DataError, match=r"no \[MASK\] in the text"):
        trained.task.read_served({"text": "good"})


def test_questions_have_one_mask(trained: Trained) -> None:
    for text in ("", "good", " \n", "[MASK] [MASK]", "word " * 500, *tiny_bert.write_texts(9)[0]):
        assert trained.task.make_question({"text": text})["text"].count("[MASK]") == 1


def test_a_document_is_measured_at_15_masks_in_a_hundred_of_its_windows(trained: Trained) -> None:
    text = " ".join(tiny_bert.write_texts(40)[0])
    (output,) = trained.answer([{"text": text}])
    assert output["tokens"] == len(trained.task.tokenizer.tokenize([text]).values)
    assert output["bytes"] == len(text)
    assert len(output["log_loss"]) == pytest.approx(0.15 * output["tokens"], rel=0.08)
    (again,) = trained.answer([{"text": text}], batch_size=1)
    np.testing.assert_array_equal(output["positions"], again["positions"])


@pytest.mark.slow
def test_a_new_net_has_a_tokenizer_of_its_own_and_feeds_fine_tuning(
    tiny_new_masked_run, load_experiment, run_once
) -> None:
    run = tiny_new_masked_run
    vocabulary = (run.start / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert vocabulary[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    config = json.loads((run.start / "config.json").read_text(encoding="utf-8"))
    assert (config["vocab_size"], config["num_hidden_layers"], config["hidden_size"]) == (160, 2, 32)
    tuned = run_once("tuned-from-masked", load_experiment(f"model.preset={run.preset}"))
    assert tuned.read_metrics()["evaluate"]["test"]["accuracy"]["value"] > 0.5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.size={layers: 2}"], "give one of the two"),
        (["tokenizer.type=wordpiece"], "a preset has its own tokenizer"),
        (["model={size: {width: 30, heads: 4}}"], "not a multiple of heads"),
        (["model={size: {}}"], "needs a WordPiece tokenizer"),
        (["model={size: {}}", "tokenizer.type=byte_bpe"], "needs a WordPiece tokenizer"),
        (["model={size: {}, adaptation: lora}", "tokenizer.type=wordpiece"], "learns as a whole"),
        (["train.monitor=f1"], "has no figure 'f1'"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(
    load_masked_experiment, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_masked_experiment(*overrides)


def test_pretrain_refuses_a_task_with_labels(load_experiment, tmp_path: Path) -> None:
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.pipeline import pretrain

    with pytest.raises(ConfigError, match="learns from labelled examples"):
        pretrain(load_experiment(), RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_another_tokenizer_makes_the_start_anew_and_an_equal_one_does_not(tmp_path: Path) -> None:
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.pipeline import prepare

    path = tiny_masked.write_experiment(tmp_path / "experiment", None)
    run = RunFolder(tmp_path / "run")
    sizes = []
    for size in (160, 160, 140):
        config = load_config(ExperimentConfig, path, [f"tokenizer.vocabulary_size={size}"]).config
        with run.owned():
            prepare(config, run)
        sizes.append((run.start / "vocab.txt").stat().st_mtime_ns)
    assert sizes[0] == sizes[1] < sizes[2]


def test_a_new_net_takes_the_tokenizer_of_another_preset(tmp_path: Path, tiny_preset: Path) -> None:
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.pipeline import prepare

    path = tiny_masked.write_experiment(tmp_path / "experiment", None)
    theirs = tmp_path / "preset"
    shutil.copytree(tiny_preset, theirs)
    run = RunFolder(tmp_path / "run")
    tokenizer = json.dumps({"type": "preset", "preset": str(theirs)})
    config = load_config(ExperimentConfig, path, [f"tokenizer={tokenizer}"]).config
    times = []
    for text in (None, None, "another"):
        if text:
            (theirs / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}), "utf-8")
        with run.owned():
            prepare(config, run)
        times.append((run.start / "config.json").stat().st_mtime_ns)
    assert load_vocabulary(run.start) == load_vocabulary(theirs)
    sizes = json.loads((run.start / "config.json").read_text(encoding="utf-8"))
    assert sizes["vocab_size"] == load_vocabulary(tiny_preset).size
    # the preset's files are looked at, not its name
    assert times[0] == times[1] < times[2]


def test_a_tokenizer_that_the_net_cannot_have_is_refused(tmp_path: Path, tiny_preset: Path) -> None:
    with pytest.raises(ConfigError, match="of the kind wordpiece; this net can have unigram"):
        write_tokenizer(
            TokenizerConfig(preset=str(tiny_preset)), ("unigram",), (), tmp_path / "start", Silent()
        )
    assert not (tmp_path / "start").exists()


def open_task(tmp_path: Path, preset: Path, **sections: Any) -> Any:
    path = tiny_masked.write_experiment(tmp_path / "experiment", preset, **sections)
    config = load_config(ExperimentConfig, path).config
    return build_task(config, (), preset)


def test_a_net_without_segments_is_given_what_it_takes(tmp_path: Path) -> None:
    preset = tiny_distilbert.write_preset(tmp_path / "preset")
    task = open_task(tmp_path, preset)
    model = task.build_model(seed=0, matmul_dtype="float32")
    feed = task.make_feed([{"text": "the film was good and the food was bad"}, {"text": "good"}])
    packed = PackedFeed(feed, 32, task.training_masker, frame=2, seed=0, share=0.3)
    for each in (feed, packed):
        batch = each.collate(np.arange(len(each)), 32, BatchMoment(0, 0))
        inputs, _ = each.unpack({name: tf.constant(array) for name, array in batch.items()})
        assert set(inputs) == set(model.input) == set(each.signature) - {"targets"}
        others = {**inputs, "token_ids": inputs["token_ids"] * 0 + PIECES.index("bad")}
        assert np.abs(model(inputs) - model(others)).max() > 1e-3


def test_what_the_vocabulary_cannot_spell_is_not_asked(tmp_path: Path, tiny_preset: Path) -> None:
    task = open_task(tmp_path, tiny_preset)
    unknown, word = task.tokenizer.special_ids.unknown, PIECES.index("good")
    token_ids = np.array([unknown, word, unknown, unknown], np.int32)
    for masker in (task.measuring_masker, task.training_masker):
        for seed in range(5):
            masked = masker.mask(token_ids, 0.99, np.random.default_rng(seed), Replacement())
            assert masked.positions.tolist() == [1]
            assert unknown not in masked.token_ids[1:2]


def test_documents_without_a_token_are_left_out_of_training(tmp_path: Path, tiny_preset: Path) -> None:
    task = open_task(tmp_path, tiny_preset, task={"type": "masked_lm", "special_tokens": False})
    feed = task.make_feed([{"text": "good film"}, {"text": "\x07"}, {"text": "bad food"}])
    packed = PackedFeed(feed, 32, task.training_masker, frame=0, seed=0, share=0.3)
    # one document has no window in the row
    assert packed.lengths.tolist() == [sum(feed.lengths[[0, 2]])]
    assert feed.lengths[1] == 0
    with pytest.raises(DataError, match="nothing that the tokenizer has tokens for"):
        PackedFeed(task.make_feed([{"text": "\x07"}]), 32, task.training_masker, frame=0, seed=0, share=0.3)


def test_a_document_without_a_token_has_no_right_output_to_measure(trained: Trained) -> None:
    right = trained.task.make_right_output(Reference(tokens=0, bytes=1))
    assert len(right["log_loss"]) == 0
    tally = trained.task.open_tally()
    tally.add([0], [right], [None])
    assert "log_loss" not in tally.compute_figures()


def test_a_head_that_begins_at_random_is_said(tmp_path: Path, tiny_preset: Path, trained: Trained) -> None:
    assert "no head for masked tokens" in open_task(tmp_path, tiny_preset).start_note
    assert open_task(tmp_path, trained.run.preset).start_note == ""


def test_a_change_that_is_refused_leaves_the_start_as_it_was(
    tiny_new_masked_run: Any, tmp_path: Path
) -> None:
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.pipeline import prepare

    run = RunFolder(tmp_path / "run")
    shutil.copytree(tiny_new_masked_run.path, run.path)
    before = {path: path.read_bytes() for path in run.start.iterdir()}
    config = load_config(ExperimentConfig, run.config, ["tokenizer.vocabulary_size=140"]).config
    with run.owned(), pytest.raises(ConfigError, match=r"tokenizer\.vocabulary_size: 160 → 140"):
        prepare(config, run)
    assert {path: path.read_bytes() for path in run.start.iterdir()} == before
