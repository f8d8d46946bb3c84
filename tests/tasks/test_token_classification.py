"""Entities in texts: tags of units, windows put together again, answers, what is learned."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_oracle import build_vocabulary

from kerasft.tasks.token_classification.encoding import WindowEncoder
from kerasft.tasks.token_classification.feed import encode_examples
from kerasft.tasks.token_classification.spans import Scores, TagSet, answer_units, log_softmax
from kerasft.tasks.token_losses import UNTAGGED, TokenAccuracy, TokenCrossentropy
from kerasft.text.spans.units import UnitTokenizer

TAGS = TagSet(["person", "place"])


def make_places(text: str) -> np.ndarray:
    ends = np.cumsum([len(word) + 1 for word in text.split(" ")])
    return np.array([(end - 1 - len(word), end - 1) for word, end in zip(text.split(" "), ends, strict=True)])


def make_scores(places: np.ndarray, tags: list[int]) -> Scores:
    logits = np.zeros((len(tags), len(TAGS)), np.float32)
    logits[np.arange(len(tags)), tags] = 8
    return Scores(places, log_softmax(logits))


def test_tags_are_o_then_b_and_i_of_each_type() -> None:
    assert TAGS.tags == ["O", "B-person", "I-person", "B-place", "I-place"]


def test_units_of_an_entity_begin_it_and_go_on_with_it() -> None:
    places = make_places("Ada van Dam in Rome Paris")
    tags = TAGS.tag_units(places, [(0, 11, 0), (15, 19, 1), (20, 25, 1)])
    assert tags.tolist() == [1, 2, 2, 0, 3, 3]
    assert [span[:3] for span in TAGS.read_tags(tags, places)] == [(0, 11, 0), (15, 19, 1), (20, 25, 1)]


def test_a_unit_across_an_entitys_edge_belongs_to_it() -> None:
    places = make_places("pre-Rome now")
    assert TAGS.tag_units(places, [(4, 8, 1)]).tolist() == [3, 0]
    assert TAGS.tag_units(np.zeros((0, 2), int), [(0, 1, 0)]).tolist() == []


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([None, 0, 1])), max_size=8))
def test_spans_that_end_with_units_come_back_from_their_tags(parts: list) -> None:
    entities, unit = [], 0
    for length, kind in parts:
        if kind is not None:
            entities.append((3 * unit, 3 * (unit + length) - 1, kind))
        unit += length
    places = np.array([(3 * i, 3 * i + 2) for i in range(unit)]).reshape(-1, 2)
    tags = TAGS.tag_units(places, entities)
    assert [span[:3] for span in TAGS.read_tags(tags, places)] == entities


def test_an_entitys_score_is_the_mean_probability_of_its_units_tags() -> None:
    places = make_places("Ada Dam left")
    log_probabilities = np.log(
        np.array([[0.1, 0.6, 0.1, 0.1, 0.1], [0.05, 0.05, 0.8, 0.05, 0.05], [0.96, 0.01, 0.01, 0.01, 0.01]])
    ).astype(np.float32)
    ((tags, (entity,)),) = TAGS.decode([Scores(places, log_probabilities)], constrained=True)
    assert tags.tolist() == [1, 2, 0]
    assert entity[:3] == (0, 7, 0)
    assert entity.score == pytest.approx(0.7)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_constrained_answers_are_the_likeliest_legal_ones(seed: int, units: int) -> None:
    scores = log_softmax(np.random.default_rng(seed).normal(size=(units, len(TAGS))).astype(np.float32) * 3)
    places = np.array([(2 * i, 2 * i + 1) for i in range(units)])
    ((tags, entities),) = TAGS.decode([Scores(places, scores)], constrained=True)
    rules = TAGS.rules

    def is_legal(path: tuple[int, ...]) -> bool:
        joined = all(rules.follows[a, b] for a, b in itertools.pairwise(path))
        return bool(rules.starts[path[0]] and rules.ends[path[-1]] and joined)

    assert is_legal(tuple(tags.tolist()))
    best = max(
        scores[np.arange(units), list(path)].sum()
        for path in itertools.product(range(len(TAGS)), repeat=units)
        if is_legal(path)
    )
    assert scores[np.arange(units), tags].sum() == pytest.approx(best, abs=1e-5)
    again = TAGS.tag_units(places, [one[:3] for one in entities])
    np.testing.assert_array_equal(again, tags)


def test_texts_of_any_length_are_decoded_side_by_side() -> None:
    outputs = [make_scores(make_places(text), tags) for text, tags in (("a b c", [1, 2, 0]), ("d", [3]))]
    outputs.insert(1, Scores(np.zeros((0, 2), int), np.zeros((0, len(TAGS)), np.float32)))
    for constrained in (True, False):
        found = [
            [one[:3] for one in entities] for _, entities in TAGS.decode(outputs, constrained=constrained)
        ]
        assert found == [[(0, 3, 0)], [], [(0, 1, 1)]]
    assert TAGS.decode([], constrained=True) == []


def test_each_unit_is_answered_by_its_window_and_a_word_without_units_is_no_entity() -> None:
    logits = [np.full((4, len(TAGS)), 0, np.float32), np.full((3, len(TAGS)), 0, np.float32)]
    logits[0][2, 1], logits[1][1, 3] = 9, 9
    places = make_places("a b c")
    scores = answer_units(places, np.array([0, -1, 1]), np.array([2, -1, 1]), logits, len(TAGS))
    assert scores.log_probabilities.argmax(1).tolist() == [1, 0, 3]
    np.testing.assert_allclose(np.exp(scores.log_probabilities).sum(1), 1, atol=1e-6)


def test_the_loss_is_the_mean_over_tagged_tokens() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.array([[1, UNTAGGED, 2], [UNTAGGED, UNTAGGED, 0]], np.int32)
    expected = -np.mean(
        [log_softmax(logits)[row, place, tag] for row, place, tag in ((0, 0, 1), (0, 2, 2), (1, 2, 0))]
    )
    assert float(TokenCrossentropy()(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert float(TokenCrossentropy()(np.full((2, 3), UNTAGGED), logits)) == 0.0


def test_accuracy_counts_tagged_tokens_alone() -> None:
    metric = TokenAccuracy()
    logits = np.eye(4, dtype=np.float32)[[[1, 0, 2], [3, 3, 0]]]
    metric.update_state(np.array([[1, UNTAGGED, 0], [UNTAGGED, UNTAGGED, 0]]), logits)
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_a_long_text_is_answered_as_its_windows_are(tiny_entity_run) -> None:
    """What is cut into windows and put together again covers each unit once, in order."""
    from kerasft.training.trained import load_trained

    task = load_trained(tiny_entity_run).task
    text = " . ".join(["the film was very good", "my soup was cold"] * 40)
    (encoded,) = task.encoder.encode([text])
    assert len(encoded.windows) > 5
    assert max(len(window.token_ids) for window in encoded.windows) <= 32
    for unit, (window, position) in enumerate(zip(encoded.window, encoded.position, strict=True)):
        chosen = encoded.windows[window]
        assert chosen.positions[unit - chosen.first_unit] == position
    seen = [text[start:end] for start, end in encoded.places]
    assert seen == text.split()


def test_a_trained_model_finds_entities_of_a_text_and_names_what_it_found(tiny_entity_run) -> None:
    from kerasft.stages.predict import Predictor

    (answer,) = Predictor(tiny_entity_run).predict([{"text": "the film was very good"}])
    assert answer["text"] == "the film was very good"
    for entity in answer["entities"]:
        assert answer["text"][entity["start"] : entity["end"]] == entity["text"]
        assert 0 < entity["score"] <= 1
    assert {entity["type"] for entity in answer["entities"]} <= {"opinion", "thing"}
    assert json.loads(json.dumps(answer)) == answer


def test_it_learns_far_more_than_chance(tiny_entity_run) -> None:
    figures = tiny_entity_run.read_metrics()["evaluate"]["test"]
    assert figures["f1"]["value"] > 0.5


def test_the_report_shows_gold_above_predicted(tiny_entity_run) -> None:
    page = tiny_entity_run.report.read_text(encoding="utf-8")
    assert ">Entities<" in page
    assert "<mark" in page
    assert "to the character and the type" in page


def test_a_words_first_unit_alone_carries_its_tag_and_without_words_each_unit_does() -> None:
    vocabulary = build_vocabulary("@adsinrome-", lowercase=True, strip_accents=True)
    encoder = WindowEncoder(UnitTokenizer(vocabulary), 32, overlap=0.25)
    text = "@ada is in-rome rome"
    example = {"text": text, "entities": [(0, 4, 0), (8, 15, 1), (16, 20, 1)]}
    told = {**example, "words": [(0, 4), (5, 7), (8, 15), (16, 20)]}
    untold = {**example, "words": []}
    encoded = encode_examples(encoder, TAGS, [told, untold], 0)
    starts = encoder.encode([text])[0].windows[0].positions
    first, second = encoded.windows["labels"]
    # @ ada is in - rome rome
    assert first[starts].tolist() == [1, UNTAGGED, 0, 3, UNTAGGED, UNTAGGED, 3]
    assert second[starts].tolist() == [1, 2, 0, 3, 4, 4, 3]
    others = np.setdiff1d(np.arange(len(first)), starts)
    assert set(first[others]) == set(second[others]) == {UNTAGGED}
    assert encoded.texts["tags"][0].tolist() == [1, 0, 3, 3]


@pytest.mark.parametrize("one_piece_a_word", [True, False])
def test_a_long_document_has_the_same_entities_wherever_its_windows_are_cut(one_piece_a_word: bool) -> None:
    """3,000 words, pushed on by one token at a time until the windows stand where they stood.

    Words of several pieces bring the windows back to where they were; with one piece a word each word begins one.
    """
    others = ("went", "to", "bed") if one_piece_a_word else ()
    pieces = ("ada", "dam", "rome", *others)
    vocabulary = build_vocabulary("abcdefghijklmnopqrstuvwxyz.", *pieces, lowercase=True, strip_accents=True)
    encoder = WindowEncoder(UnitTokenizer(vocabulary), 32, overlap=0.25)
    tag_of = np.zeros(len(vocabulary.pieces), int)
    for piece, tag in (("ada", 1), ("dam", 2), ("rome", 3)):
        tag_of[vocabulary.pieces.index(piece)] = tag

    words, entities, at = [], [], 0
    random = np.random.default_rng(0)
    while len(words) < 3000:
        kind = random.integers(4)
        for word in (["ada"] + ["dam"] * int(random.integers(12)), ["rome"], ["went"], ["to", "bed", "."])[
            kind
        ]:
            words.append(word)
        if kind < 2:
            length = len(words)
            entities.append((at, len(" ".join(words[:length])), kind))
        at = len(" ".join(words)) + 1
    document = " ".join(words)

    cuts: set[int] = set()
    for pushed in range(32):
        text = "a " * pushed + document
        (encoded,) = encoder.encode([text])
        cuts |= {int(encoded.places[window.first_unit, 0]) - 2 * pushed for window in encoded.windows}
        logits = []
        for window in encoded.windows:
            assert len(window.token_ids) <= 32
            logits.append(9 * np.eye(len(TAGS), dtype=np.float32)[tag_of[window.token_ids]])
        scores = answer_units(encoded.places, encoded.window, encoded.position, logits, len(TAGS))
        ((_, found),) = TAGS.decode([scores], constrained=True)
        assert [(one.start - 2 * pushed, one.end - 2 * pushed, one.type) for one in found] == entities
    if one_piece_a_word:
        # the last window stands at the end, as long as it may be
        assert {len(" ".join(words[:count])) + 1 for count in range(32, len(words) - 31)} <= cuts


def test_a_trained_model_is_used_with_other_decoding_but_with_nothing_else_otherwise(tiny_entity_run) -> None:
    from kerasft.config.loading import load_config
    from kerasft.errors import ConfigError
    from kerasft.experiment import ExperimentConfig
    from kerasft.training.trained import load_trained

    def load(*overrides: str):
        config = load_config(ExperimentConfig, tiny_entity_run.path, overrides).config
        return load_trained(tiny_entity_run, config).task

    assert load().config.constrained
    assert not load("task.constrained=false").config.constrained
    with pytest.raises(ConfigError, match=r"trained with task.overlap: 0.25, not 0.5"):
        load("task.overlap=0.5")
    with pytest.raises(ConfigError, match=r"trained with model.max_length: 32, not 64"):
        load("model.max_length=64")
