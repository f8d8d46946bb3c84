"""The sizes of a decoder, and whether they are believed. Imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kerasft.models.text.sizes import MAX_PARAMETERS

Activation = Literal["gelu_tanh", "silu_gated", "relu_squared"]

_LIMITS = {
    "vocabulary_size": 10_000_000,
    "layers": 200,
    "heads": 1024,
    "kv_heads": 1024,
    "head_size": 1024,
    "width": 1 << 16,
    "feedforward": 1 << 18,
    "context": 1 << 20,
}


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How Llama 3.1 and later stretch the slow turns of rotary positions to a longer context.

    Attributes:
        factor: by which turns of more than `original_context / low_factor` tokens are slowed down.
        low_factor, high_factor: turns of fewer than `original_context / high_factor` tokens stay as they are; between
            the two the slowing grows smoothly.
        original_context: tokens of the first pre-training.
    """

    factor: float
    low_factor: float
    high_factor: float
    original_context: int

    def __post_init__(self) -> None:
        numbers = (self.factor, self.low_factor, self.high_factor, self.original_context)
        if any(type(number) not in (int, float) or not 0 < number <= 1e9 for number in numbers):
            raise ValueError(f"RoPE is scaled by {numbers!r:.100}")
        if self.low_factor >= self.high_factor:
            raise ValueError(
                f"RoPE's low factor, {self.low_factor}, is not below its high one, {self.high_factor}"
            )


@dataclass(frozen=True, kw_only=True)
class DecoderSizes:
    """What a decoder's layers are, in numbers.

    Attributes:
        vocabulary_size: rows of the table of token embeddings.
        layers: transformer layers.
        heads: of queries.
        kv_heads: of keys and values; each serves `heads / kv_heads` heads of queries.
        head_size: numbers in one head's query.
        width: numbers in a token's hidden state.
        feedforward: width inside the feed-forward.
        context: the most tokens of a text; with learned positions, rows of their table.
        rope_base: the base of rotary position embeddings (RoPE), which turn halves of queries and keys; 0: positions
            are learned, one vector each.
        rope_scaling: None: as they are.
        norm: `layer` or `rms` (without offset).
        norm_epsilon: what variances, or mean squares, are added before their root is taken.
        activation: of the feed-forward: gelu by tanh, silu(gate)·x, or the square of ReLU.
        biases: whether dense layers have biases.
        qk_norm: whether each query and key is divided by its root mean square.
        tied: whether logits are computed from the table of token embeddings, and not from a matrix of their own.
        zero_outputs: whether a new net's layers begin by adding 0: their output matrices begin at 0. Else these
            begin at random, smaller the more layers there are.

    Raises:
        ValueError: a size is out of bounds, or two do not go together.
    """

    vocabulary_size: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int
    feedforward: int
    context: int
    rope_base: float = 0.0
    rope_scaling: RopeScaling | None = None
    norm: Literal["layer", "rms"] = "layer"
    norm_epsilon: float = 1e-5
    activation: Activation = "gelu_tanh"
    biases: bool = True
    qk_norm: bool = False
    tied: bool = True
    zero_outputs: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.rope_scaling, dict):  # of a layer's config
            object.__setattr__(self, "rope_scaling", RopeScaling(**self.rope_scaling))
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name} is {value!r:.60}; it is a whole number from 1 to {limit:,}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads is {self.heads}, not a multiple of kv_heads, {self.kv_heads}")
        if self.has_rope and self.head_size % 2:
            raise ValueError(f"head_size is {self.head_size}, and RoPE turns pairs of numbers")
        if not 0 <= self.rope_base <= 1e12 or not 0 < self.norm_epsilon <= 0.1:
            raise ValueError(f"rope_base is {self.rope_base!r:.60}, norm_epsilon {self.norm_epsilon!r:.60}")
        if self.count_parameters() > MAX_PARAMETERS:
            raise ValueError(
                f"asks for {self.count_parameters():,} weights; at most {MAX_PARAMETERS:,} are read"
            )

    @property
    def has_rope(self) -> bool:
        """Whether positions are rotary, and not learned."""
        return self.rope_base > 0

    @property
    def merged(self) -> int:
        """Columns of query, key and value side by side."""
        return (self.heads + 2 * self.kv_heads) * self.head_size

    @property
    def intermediate(self) -> int:
        """Columns of the feed-forward's first kernel: the gate stands before what it gates."""
        return self.feedforward * (2 if self.activation == "silu_gated" else 1)

    def count_parameters(self) -> int:
        """How many weights such a decoder has."""
        width, heads = self.width, self.heads * self.head_size
        layer = width * (self.merged + heads + self.intermediate + self.feedforward)
        if self.biases:
            layer += self.merged + self.intermediate + 2 * width
        norm = width * (2 if self.norm == "layer" else 1)
        rows = self.vocabulary_size * (1 if self.tied else 2) + (0 if self.has_rope else self.context)
        return rows * width + self.layers * (layer + 2 * norm) + norm
