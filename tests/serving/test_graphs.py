"""What is published is a graph of core ops that old releases know, and tells nothing of the machine it was made on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tolerances import TINY_BERT

from kerasft.serving.graphs import list_ops, widen_compatibility

# Core TensorFlow, all in TensorFlow 2.0 with the attributes that are used here. No PyFunc, nothing of tensorflow_text.
CORE_OPS = """
    AddV2 ArgMax AssignVariableOp BatchMatMulV2 BiasAdd BitwiseAnd BroadcastTo Cast ConcatV2 Const
    EmptyTensorList Equal Fill GatherV2 Greater GreaterEqual Identity IdentityN LessEqual LogicalAnd LogicalNot
    LowerBound MatMul Max Maximum Mean MergeV2Checkpoints Minimum Mul NoOp NotEqual OneHot Pack Pad
    PartitionedCall Placeholder Pow Prod RaggedRange Range ReadVariableOp Reshape ResourceGather RestoreV2
    RightShift Rsqrt SaveV2 Select SelectV2 Shape ShardedFilename Sigmoid Size Softmax Square
    StatefulPartitionedCall StatelessWhile StaticRegexFullMatch StridedSlice StringJoin StringLength Sub
    Tanh TensorListConcatV2 TensorListPushBack TensorScatterUpdate TopKV2 Transpose UnicodeDecode
    UnicodeTranscode Unpack UpperBound VarHandleOp Where ZerosLike
"""


def read_meta_graph(folder: Path):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]


@pytest.fixture
def plain(tmp_path, tiny_module) -> Path:
    """The module as TensorFlow alone saves it."""
    tf.saved_model.save(tiny_module, str(tmp_path / "plain"), signatures=tiny_module.signatures)
    return tmp_path / "plain"


def test_an_export_holds_core_ops_only(published):
    assert list_ops(published) - set(CORE_OPS.split()) == set()


def test_the_list_of_ops_counts_those_in_functions(published):
    meta_graph = read_meta_graph(published)
    assert "UnicodeDecode" in list_ops(published)
    assert "UnicodeDecode" not in {node.op for node in meta_graph.graph_def.node}
    assert list_ops(published) >= {op.name for op in meta_graph.meta_info_def.stripped_op_list.op}


def test_what_old_releases_refuse_is_taken_out(plain):
    def count(attribute: str) -> int:
        graph = read_meta_graph(plain).graph_def
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        return sum(attribute in node.attr for node in nodes)

    assert "DisableCopyOnRead" in list_ops(plain)
    assert min(count("debug_name"), count("_gradient_op_type")) > 0
    before = list_ops(plain)
    widen_compatibility(plain)
    assert list_ops(plain) == before - {"DisableCopyOnRead"}
    assert count("debug_name") == count("_gradient_op_type") == 0
    once = (plain / "saved_model.pb").read_bytes()
    widen_compatibility(plain)
    assert (plain / "saved_model.pb").read_bytes() == once


def test_a_widened_export_can_be_saved_again(published, tmp_path, serve):
    loaded = tf.saved_model.load(str(published))
    tf.saved_model.save(loaded, str(tmp_path), signatures=loaded.signatures)
    again = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    logits = again(text=tf.constant(["a lovely film"]))["logits"]
    tf.debugging.assert_equal(logits, serve(["a lovely film"])["logits"])


def test_an_export_loads_as_a_graph_of_version_1(published, serve):
    compat = tf.compat.v1
    with compat.Session(graph=tf.Graph()) as session:
        signature = compat.saved_model.load(session, ["serve"], str(published)).signature_def[
            "serving_default"
        ]
        feed = {signature.inputs["text"].name: [b"a lovely film", b"dull"]}
        logits = session.run(signature.outputs["logits"].name, feed)
    tf.debugging.assert_near(logits, serve(["a lovely film", "dull"])["logits"], atol=TINY_BERT)


def test_an_export_tells_nothing_of_this_machine(published):
    told = b"".join(path.read_bytes() for path in published.rglob("*") if path.is_file())
    home, here = os.path.expanduser("~").encode(), str(published.parents[1]).encode()
    for secret in (home + b"/", here, sys.prefix.encode(), b".py", b"keras"):
        assert secret not in told
    assert not (published / "debug").exists()


def test_a_version_holds_what_it_must_and_no_more(published):
    files = {str(path.relative_to(published)) for path in published.rglob("*") if path.is_file()}
    assert files == {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "hashes.json",
        "parity.json",
        "assets.extra/labels.txt",
    }
