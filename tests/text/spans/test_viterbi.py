"""Decoded sequences: always legal, the best of all, and the same in NumPy and in TensorFlow, saved and loaded too."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kerasft.text.spans.tagging_schemes import TagRules, build_tag_rules, find_faults, list_tags
from kerasft.text.spans.viterbi import (
    decode_greedily,
    decode_greedily_in_graph,
    decode_viterbi,
    decode_viterbi_in_graph,
)

TYPES = {"IOB1": ["X", "Y"], "IOB2": ["X", "Y", "Z"], "BIOES": ["X"]}
TAGS = {scheme: list_tags(types, scheme) for scheme, types in TYPES.items()}
RULES = {scheme: build_tag_rules(tags, scheme) for scheme, tags in TAGS.items()}
SCHEMES = sorted(RULES)
# Core ops, all there in TensorFlow 2.12.
CORE_OPS = """
    AddV2 Cast Ceil Const EnsureShape Equal FloorDiv GatherV2 Greater GreaterEqual Identity IsNan Less Max
    MergeV2Checkpoints Min Mul NoOp OnesLike Pack Pad PartitionedCall Placeholder Range Reshape RestoreV2
    SaveV2 ScatterNd Select SelectV2 Shape ShardedFilename Sqrt Squeeze StatefulPartitionedCall StatelessWhile
    StaticRegexFullMatch StridedSlice StringJoin Sub TensorListGetItem TensorListReserve TensorListSetItem
    TensorListStack Tile Transpose Unpack
"""


def draw_scores(batch: int, units: int, tags: int, seed: int = 0, grid: float = 0.0):
    """Scores and lengths; on a grid many sums are equal, and exact."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(batch, units, tags))
    if grid:
        scores = np.round(scores / grid) * grid
    return scores.astype(np.float32), generator.integers(0, units + 1, batch)


def in_graph(scores, lengths, rules: TagRules | None) -> np.ndarray:
    """Padded scores through the form that takes all texts' units one after another, and padded again."""
    inside = np.arange(scores.shape[1]) < np.asarray(lengths)[:, None]
    flat = tf.constant(scores[inside], tf.float32)
    splits = tf.constant(np.cumsum([0, *lengths]), tf.int32)
    paths = np.zeros(inside.shape, np.int32)
    paths[inside] = (
        decode_greedily_in_graph(flat) if rules is None else decode_viterbi_in_graph(flat, splits, rules)
    )
    return paths


def sum_scores(scores: np.ndarray, path) -> float:
    return float(sum(scores[unit, tag] for unit, tag in enumerate(path)))


def is_legal(path, rules: TagRules) -> bool:
    steps = all(rules.follows[i, j] for i, j in itertools.pairwise(path))
    return bool(rules.starts[path[0]] and rules.ends[path[-1]] and steps)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_legal_sequence_is_better(scheme):
    rules, num_tags = RULES[scheme], len(TAGS[scheme])
    assert num_tags <= 7
    scores, _ = draw_scores(24, 5, num_tags, grid=0.125)
    lengths = np.arange(24) % 5 + 1
    paths = decode_viterbi(scores, lengths, rules)
    legal = {
        length: np.array(
            [p for p in itertools.product(range(num_tags), repeat=length) if is_legal(p, rules)], int
        )
        for length in range(1, 6)
    }
    for row, length in enumerate(lengths):
        every = scores[row, np.arange(length), legal[length]].sum(axis=1)
        path = paths[row, :length].tolist()
        assert is_legal(path, rules)
        assert sum_scores(scores[row], path) == every.max()


@settings(max_examples=60, deadline=None)
@given(
    scheme=st.sampled_from(SCHEMES),
    shape=st.tuples(st.integers(0, 3), st.integers(0, 6)),
    data=st.data(),
)
def test_whatever_the_scores_the_sequence_is_legal_and_both_forms_agree(scheme, shape, data):
    tags = TAGS[scheme]
    values = st.one_of(
        st.sampled_from([0.0, 1.0, -1.0, -1e9, np.inf, -np.inf, np.nan]), st.integers(-20, 20).map(float)
    )
    scores = data.draw(arrays.arrays(np.float32, (*shape, len(tags)), elements=values))
    lengths = data.draw(arrays.arrays(np.int64, shape[0], elements=st.integers(0, shape[1])))
    paths = decode_viterbi(scores, lengths, RULES[scheme])
    for path, length in zip(paths, lengths, strict=True):
        assert find_faults([tags[tag] for tag in path[:length]], scheme) == []
        assert not path[length:].any()
    np.testing.assert_array_equal(in_graph(scores, lengths, RULES[scheme]), paths)
    np.testing.assert_array_equal(in_graph(scores, lengths, None), decode_greedily(scores, lengths))


@pytest.mark.parametrize("grid", [0.0, 1.0])
def test_tensorflow_gives_numpys_paths_of_long_texts(grid):
    tags = list_tags([f"t{number}" for number in range(12)], "BIOES")
    rules = build_tag_rules(tags, "BIOES")
    scores, lengths = draw_scores(32, 90, len(tags), seed=3, grid=grid)
    paths = decode_viterbi(scores, lengths, rules)
    assert paths.dtype == np.int32
    np.testing.assert_array_equal(in_graph(scores, lengths, rules), paths)
    assert (paths != decode_greedily(scores, lengths)).any()


def test_batches_that_are_worked_off_in_blocks_give_each_texts_own_path(monkeypatch):
    scores, lengths = draw_scores(23, 7, len(TAGS["BIOES"]), seed=5)
    whole = decode_viterbi(scores, lengths, RULES["BIOES"])
    monkeypatch.setattr("kerasft.text.spans.viterbi._ELEMENTS_PER_BLOCK", 100)
    np.testing.assert_array_equal(decode_viterbi(scores, lengths, RULES["BIOES"]), whole)
    for row, length in enumerate(lengths):
        alone = decode_viterbi(scores[row : row + 1, :length], lengths[row : row + 1], RULES["BIOES"])
        np.testing.assert_array_equal(alone[0], whole[row, :length])


def test_an_entity_that_would_begin_with_i_is_begun_with_b_or_left_out():
    rules = build_tag_rules(["O", "B-X", "I-X"], "IOB2")
    scores = np.log([[[0.3, 0.2, 0.5], [0.1, 0.1, 0.8]], [[0.5, 0.05, 0.45], [0.4, 0.1, 0.5]]])
    lengths = np.array([2, 2])
    assert decode_greedily(scores, lengths).tolist() == [[2, 2], [0, 2]]
    # 0.2·0.8 beats 0.3·0.1; 0.5·0.4 beats 0.05·0.5
    assert decode_viterbi(scores, lengths, rules).tolist() == [[1, 2], [0, 0]]


def test_logits_and_log_probabilities_give_the_same():
    logits, lengths = draw_scores(8, 20, len(TAGS["IOB2"]), seed=2)
    log_probabilities = np.log(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
    np.testing.assert_array_equal(
        decode_viterbi(logits, lengths, RULES["IOB2"]),
        decode_viterbi(log_probabilities, lengths, RULES["IOB2"]),
    )


@pytest.mark.parametrize("decode", [decode_viterbi, in_graph])
def test_rules_without_a_legal_sequence_of_each_length_are_refused(decode):
    rules = build_tag_rules(["B-X", "I-X", "E-X"], "BIOES")
    with pytest.raises(ValueError, match="some lengths have no valid tags"):
        decode(np.zeros((1, 1, 3), np.float32), np.array([1]), rules)


class Served(tf.Module):
    """A decoder behind a signature, as an export holds it."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, len(TAGS["BIOES"])], tf.float32, name="scores"),
            tf.TensorSpec([None], tf.int32, name="splits"),
        ]
    )
    def serve(self, scores, splits):
        return {
            "viterbi": decode_viterbi_in_graph(scores, splits, RULES["BIOES"]),
            "greedy": decode_greedily_in_graph(scores),
        }


@pytest.mark.slow
def test_a_saved_decoder_holds_core_ops_alone_and_answers_without_this_package(tmp_path):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    served = Served()
    tf.saved_model.save(served, str(tmp_path / "m"), signatures={"serving_default": served.serve})
    saved = SavedModel.FromString((tmp_path / "m" / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert {node.op for node in nodes} <= set(CORE_OPS.split())
    scores, lengths = draw_scores(4, 9, len(TAGS["BIOES"]), seed=7)
    inside = np.arange(9) < lengths[:, None]
    np.savez(tmp_path / "in.npz", scores=scores[inside], splits=np.cumsum([0, *lengths]).astype(np.int32))
    program = (
        "import sys, numpy as np, tensorflow as tf\n"
        "decode = tf.saved_model.load(sys.argv[1] + '/m').signatures['serving_default']\n"
        "given = np.load(sys.argv[1] + '/in.npz')\n"
        "s, n = given['scores'], given['splits']\n"
        "np.savez(sys.argv[1] + '/out.npz', **decode(scores=tf.constant(s), splits=tf.constant(n)))\n"
        "for n in (n[:1], n[:4] * 0):\n"
        "    assert decode(scores=tf.constant(s[:0]), splits=tf.constant(n))['viterbi'].shape == (0,)\n"
        "assert 'kerasft' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(found["viterbi"], decode_viterbi(scores, lengths, RULES["BIOES"])[inside])
    np.testing.assert_array_equal(found["greedy"], decode_greedily(scores, lengths)[inside])
