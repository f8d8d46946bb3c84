"""The `model` section of nets that predict the next token: a new one of some size, or a preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pydantic

from kerasft.config.base import Config, PathField
from kerasft.models.adaptation.config import FullConfig, TextAdaptation
from kerasft.models.config import ModelConfig

if TYPE_CHECKING:
    from kerasft.models.sources import ModelSource

NEW_FAMILY = "own"
NEW_CONTEXT, MOST_CONTEXT = 128, 1024
"""Tokens of a row by default: of a new net; and at most, of a preset."""
_ROTARY = ("llama", "own")


class DecoderSize(Config):
    """The size of a new net that predicts the next token."""

    layers: int = pydantic.Field(4, ge=1, le=200)
    """Transformer layers."""
    width: int = pydantic.Field(256, ge=8, le=16384)
    """Size of a token's vector, a multiple of `heads`."""
    heads: int = pydantic.Field(4, ge=1, le=1024)
    """Attention heads of a layer."""
    kv_heads: int | None = pydantic.Field(None, ge=1, le=1024)
    """Heads of keys and values, of which each serves several heads of queries (grouped-query attention). Null: as many
    as `heads`."""
    feedforward: int | None = pydantic.Field(None, ge=8)
    """Size inside the feed-forward layers. Null: four times `width`, or 8/3 of it where it is gated (`llama`), rounded
    up to a multiple of 8."""

    @pydantic.model_validator(mode="after")
    def _heads_share_the_width(self) -> DecoderSize:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) is not a multiple of heads ({self.heads})")
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) is not a multiple of kv_heads ({self.kv_heads})")
        return self


class DecoderModelConfig(ModelConfig):
    """The net that learns to predict the next token: a new one, or a pre-trained one that goes on learning."""

    preset: Annotated[str | None, PathField(may_be_name=True)] = None  # type: ignore[assignment]
    """The pre-trained net to go on from: a keras-hub name (`gpt2_base_en`), `hf://owner/name`, `kaggle://…`,
    `modelscope://…`, a local folder (keras-hub or Hugging Face format), a GGUF file, `package:module/path` (inside an
    installed package), or another run's `preset/`. Its tokenizer is used too. Null: a new net of `size`."""
    family: Literal["gpt2", "llama", "own"] | None = None
    """The architecture of a new net. `gpt2`: learned positions, layer normalisation and GELU, as GPT-2. `llama`: rotary
    positions, RMS normalisation and a gated feed-forward, as Llama 3 and SmolLM. `own`: rotary positions, RMS
    normalisation, normalised queries and keys, and squared ReLU. Null: `own`, or the preset's."""
    size: DecoderSize | None = None
    """The size of a new net with random weights: `{layers: 4, width: 256, heads: 4}`."""
    context: int | None = pydantic.Field(None, ge=8, le=131072)
    """Tokens of a row: the most that the net sees at once. Longer documents are cut into pieces, and short ones share a
    row without seeing each other. Null: 128 for a new net; for a preset as many as it was made for, at most 1,024."""
    dropout: float = pydantic.Field(0.0, ge=0.0, lt=1.0)
    """Dropout rate inside the net."""
    random_weights: bool = False
    """Starts from random weights: only the preset's architecture and tokenizer are used."""
    adaptation: TextAdaptation = FullConfig(type="full")
    """Which weights are trained, and how fast, by `type`. A name alone, as in `adaptation: lora`, means that type with
    its defaults."""
    adapter: Annotated[str, PathField()] | None = None
    """Folder of an adapter that `lora` trained on this preset (`runs/<name>/adapter`). The model starts with it: with
    `adaptation: lora` the adapter is trained further; with any other it is merged into the weights."""

    @pydantic.model_validator(mode="after")
    def _begins_with_one_of_two(self) -> DecoderModelConfig:
        if (self.preset is None) == (self.size is None):
            raise ValueError(
                "give one of the two: preset (a net to go on from) or size (a new net, "
                "{layers: 4, width: 256, heads: 4})"
            )
        if self.size is None:
            self._check_preset()
        else:
            self._check_new_net(self.size)
        return self

    def _check_preset(self) -> None:
        if self.family is not None:
            raise ValueError(
                "family is of a new net of `size`; a preset says itself what it is: leave it out"
            )
        if self.random_weights and (self.adaptation.type == "lora" or self.adapter is not None):
            raise ValueError("an adapter needs pre-trained weights, and random_weights is true")

    def _check_new_net(self, size: DecoderSize) -> None:
        if self.adaptation.type != "full" or self.adapter is not None:
            raise ValueError("a new net of `size` learns as a whole: leave adaptation and adapter out")
        if self.random_weights:
            raise ValueError("a new net of `size` has random weights: leave random_weights out")
        rotary = self.new_family in _ROTARY
        if not rotary and size.kv_heads not in (None, size.heads):
            raise ValueError(
                f"the family {self.new_family} has as many heads of keys as of queries: leave size.kv_heads out, or "
                f"choose {' or '.join(_ROTARY)}"
            )
        if rotary and size.width // size.heads % 2:
            raise ValueError(
                f"a head has {size.width // size.heads} numbers (width / heads), and rotary positions need an even "
                f"number; choose other sizes, or the family gpt2"
            )

    @property
    def new_family(self) -> str:
        """The architecture of a new net."""
        return self.family or NEW_FAMILY

    @property
    def start(self) -> str:
        """What the net begins with, for people."""
        if self.size is None:
            return str(self.preset)
        return f"a new net ({self.new_family}) of {self.size.layers} layers of width {self.size.width}"

    @property
    def starts_from_data(self) -> bool:
        """Whether what the net begins with is made when the data are prepared."""
        return self.size is not None

    def choose_context(self, most: int) -> int:
        """Tokens of a row.

        Args:
            most: tokens that the net was made for.
        """
        if self.context is not None:
            return self.context
        return NEW_CONTEXT if self.size is not None else min(most, MOST_CONTEXT)

    def resolve(self) -> ModelSource:
        """As `ModelConfig.resolve`."""
        from kerasft.models.sources import resolve_text_model

        return resolve_text_model(self, may_be_file=True)
