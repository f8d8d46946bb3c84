"""What an optimizer that updates whole matrices must know of a variable: how many stand in it, if any."""

from __future__ import annotations

from typing import Any

from kerasft.optimizers.groups import variable_kind

_MARK = "kerasft_matrices"


def declare_matrices(variable: Any, count: int) -> None:
    """Says of how many matrices a layer's kernel is made, for optimizers such as `Muon`.

    A layer calls this for a kernel that is no single matrix, as Keras' quantised layers set
    `overwrite_with_gradient` on their scales.

    Args:
        variable: of shape (inputs, outputs).
        count: the kernel is so many matrices (inputs, outputs / count) side by side, such as query, key and value;
            0: it is not to be updated as a matrix.

    Raises:
        ValueError: the outputs cannot be divided so.
    """
    if count < 0 or (count and (len(variable.shape) != 2 or variable.shape[1] % count)):
        raise ValueError(f"a variable of shape {tuple(variable.shape)} is not made of {count} matrices")
    setattr(variable, _MARK, count)


def count_matrices(variable: Any) -> int:
    """How many hidden matrices a variable is made of: what its layer declares, else 1 for a kernel (inputs, outputs).

    0 for embeddings, norms and biases (see `kerasft.optimizers.groups.variable_kind`), and for kernels that have
    not two axes, such as those of convolutions.
    """
    declared = getattr(variable, _MARK, None)
    if declared is not None:
        return declared
    return int(len(variable.shape) == 2 and variable_kind(variable) == "weight")
