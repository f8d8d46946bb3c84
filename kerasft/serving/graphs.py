"""Lists the ops of a SavedModel, and removes those that older releases of TensorFlow do not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NEW_OP = "DisableCopyOnRead"


def list_ops(saved_model: Path) -> set[str]:
    """The op types of a SavedModel, those in its functions included.

    Args:
        saved_model: the version's folder.
    """
    return {node.op for node in _list_nodes(_read(saved_model).meta_graphs[0])}


def widen_compatibility(saved_model: Path) -> None:
    """Lets TensorFlow 2.0 and later load, and TensorFlow Serving of that age serve, what a later TensorFlow saved.

    What later releases write and those before 2.10 refuse is taken out; none of it is part of the answers:

    - `DisableCopyOnRead`, which spares a copy while variables are saved anew: each node becomes a `NoOp` after the
      same inputs. What is saved stays the same.
    - `debug_name` of `VarHandleOp`, the variable's name for messages.
    - `_gradient_op_type`, which names custom gradients that an export does not hold: whoever loads it to save it anew
      would look for them.

    `fingerprint.pb`, which tells what `saved_model.pb` was, is removed: TensorFlow loads without one.

    Args:
        saved_model: the version's folder; changed in place.
    """
    saved = _read(saved_model)
    for meta_graph in saved.meta_graphs:
        for node in _list_nodes(meta_graph):
            node.attr.pop("_gradient_op_type", None)
            if node.op == NEW_OP:
                node.op = "NoOp"
                node.attr.clear()
                node.input[:] = ["^" + name.lstrip("^").split(":")[0] for name in node.input]
            elif node.op == "VarHandleOp":
                node.attr.pop("debug_name", None)
        known = meta_graph.meta_info_def.stripped_op_list.op
        kept = [op for op in known if op.name != NEW_OP]
        for place, op in enumerate(kept):
            known[place].CopyFrom(op)
        del known[len(kept) :]
    (saved_model / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))
    (saved_model / "fingerprint.pb").unlink(missing_ok=True)


def _list_nodes(meta_graph: Any) -> list[Any]:
    functions = meta_graph.graph_def.library.function
    return [*meta_graph.graph_def.node, *(node for function in functions for node in function.node_def)]


def _read(saved_model: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
