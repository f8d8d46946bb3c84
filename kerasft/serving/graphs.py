"""Reading and mending what TensorFlow wrote: the ops of a SavedModel, and the one that older releases do not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NEW_OP = "DisableCopyOnRead"


def list_ops(saved_model: Path) -> set[str]:
    """The op types of a SavedModel, those in its functions included.

    Args:
        saved_model: the version's folder.
    """
    meta_graph = _read(saved_model).meta_graphs[0]
    functions = meta_graph.graph_def.library.function
    nodes = [*meta_graph.graph_def.node, *(node for function in functions for node in function.node_def)]
    return {node.op for node in nodes}


def widen_compatibility(saved_model: Path) -> None:
    """Lets TensorFlow 2.0 and later load what a later TensorFlow saved.

    The function that would save the variables anew marks each with `DisableCopyOnRead`, to spare a copy while they
    are read. Serving never calls it, but TensorFlow before 2.9 refuses a graph with an op it does not know. Each such
    node becomes a `NoOp` after the same inputs: what is saved stays the same.

    `fingerprint.pb`, which tells what `saved_model.pb` was, is removed: TensorFlow loads without one.

    Args:
        saved_model: the version's folder; changed in place.
    """
    saved = _read(saved_model)
    for meta_graph in saved.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == NEW_OP:
                    node.op = "NoOp"
                    node.attr.clear()
                    node.input[:] = ["^" + name.lstrip("^").split(":")[0] for name in node.input]
        known = meta_graph.meta_info_def.stripped_op_list.op
        kept = [op for op in known if op.name != NEW_OP]
        del known[len(kept) :]
        for place, op in enumerate(kept):
            known[place].CopyFrom(op)
    (saved_model / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))
    (saved_model / "fingerprint.pb").unlink(missing_ok=True)


def _read(saved_model: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
