"""What TensorFlow 2.0 refuses in a SavedModel besides ops that it does not know, read from the file alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

OBJECTS = {
    "user_object",
    "asset",
    "function",
    "variable",
    "bare_concrete_function",
    "constant",
    "resource",
}
"""The kinds of saved objects that TensorFlow 2.0 knows."""


def list_strange_objects(saved_model: Path) -> set[str]:
    """The kinds of a SavedModel's objects that TensorFlow 2.0 does not know: it then loads nothing."""
    kinds = {str(node.WhichOneof("kind")) for node in _read(saved_model).object_graph_def.nodes}
    assert "function" in kinds
    return kinds - OBJECTS


def list_flat_gathers(saved_model: Path) -> list[str]:
    """Gathers of as many batch dimensions as their indices have, which TensorFlow before 2.2 refuses when it runs."""
    return [
        f"{function.signature.name}/{node.name}"
        for function in _read(saved_model).graph_def.library.function
        for node in function.node_def
        if node.op == "GatherV2" and node.attr["batch_dims"].i > 0
        if any(rank <= node.attr["batch_dims"].i for rank in _find_ranks(function, node.input[1]))
    ]


def _find_ranks(function: Any, name: str) -> Iterator[int]:
    """The number of dimensions of what a node or an argument of a function gives."""
    name = name.partition(":")[0]
    arguments = [argument.name for argument in function.signature.input_arg]
    if name in arguments:
        attributes = function.arg_attr[arguments.index(name)].attr
    else:
        attributes = next(node.attr for node in function.node_def if node.name == name)
    shapes = attributes["_output_shapes"].list.shape
    assert shapes
    for shape in shapes:
        assert not shape.unknown_rank
        yield len(shape.dim)


def _read(saved_model: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString((saved_model / "saved_model.pb").read_bytes()).meta_graphs[0]
