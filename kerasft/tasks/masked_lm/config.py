"""The sections of masked language modelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import pydantic

from kerasft.config.base import Config, PathField
from kerasft.data.kinds.fields import Field
from kerasft.metrics.figures import LANGUAGE, FigureKinds
from kerasft.models.config import ModelConfig, TextModelConfig
from kerasft.models.text.new_nets import check_tokenizer
from kerasft.optimizers.config import AdamWConfig, OptimizerConfig, ScheduleConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.training.config import LanguageTrainConfig


class MaskedLmConfig(TaskConfig):
    """Learning from raw text: some tokens are masked, and the model tells them from those around them."""

    cuts_examples: ClassVar[bool] = True

    type: Literal["masked_lm"]
    mask_share: float = pydantic.Field(0.15, gt=0.0, lt=1.0)
    """Share of the tokens that are masked in training. 0.15 suits going on from a preset; from random weights 0.25 to
    0.3 is often better. Models are always measured at masks of 15 %, which follow from the tokens of each
    piece: the same for all models with one tokenizer, `model.max_length` and `special_tokens`."""
    whole_words: bool = False
    """Whether words are masked whole, and not token by token."""
    special_tokens: bool = True
    """Whether [CLS] and [SEP] stand around each piece of a document, as they stand around texts in fine-tuning."""

    @property
    def title(self) -> str:
        """The task's name for people."""
        return "masked language model"

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example contains."""
        return (Field("text", "text"),)

    def check_sections(self, model: ModelConfig, own: Mapping[str, Config]) -> None:
        """See `TaskConfig.check_sections`."""
        tokenizer = own["tokenizer"]
        assert isinstance(tokenizer, TokenizerConfig)
        if model.starts_from_data:
            check_tokenizer(tokenizer)
        elif tokenizer != TokenizerConfig():
            raise ValueError(
                "a preset has its own tokenizer: leave the section tokenizer out, or set model.size in place of preset"
            )

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer."""
        return "filled", "masks", "log_loss", "bits_per_byte"

    @property
    def figure_kinds(self) -> FigureKinds:
        """How the model is measured."""
        return LANGUAGE


class NetSize(Config):
    """The size of a new net of BERT's shape."""

    layers: int = pydantic.Field(4, ge=1, le=200)
    """Transformer layers."""
    width: int = pydantic.Field(256, ge=8, le=16384)
    """Size of a token's vector, a multiple of `heads`."""
    heads: int = pydantic.Field(4, ge=1, le=1024)
    """Attention heads of a layer."""
    feedforward: int | None = pydantic.Field(None, ge=8)
    """Size inside the feed-forward layers. Null: four times `width`."""

    @pydantic.model_validator(mode="after")
    def _heads_share_the_width(self) -> NetSize:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) is not a multiple of heads ({self.heads})")
        return self


class MaskedModelConfig(TextModelConfig):
    """The net that learns: a new one of some size, or a pre-trained text encoder that goes on learning."""

    preset: Annotated[str | None, PathField(may_be_name=True)] = None  # type: ignore[assignment]
    """The pre-trained encoder to go on from, named as for fine-tuning: `bert_base_en_uncased`, `hf://owner/name`, a
    folder, another run's `preset/`. Its tokenizer is used too. Null: a new net of `size`."""
    size: NetSize | None = None
    """The size of a new net with random weights: `{layers: 4, width: 256, heads: 4}`."""
    max_length: int = pydantic.Field(128, ge=8, le=8192)
    """Tokens of a row. Longer documents are cut into pieces, and short ones share a row without seeing each other. A
    new net has as many positions."""
    dropout: float = pydantic.Field(0.0, ge=0.0, lt=1.0)
    """Dropout rate inside the net while it learns from raw text. The preset that is written says 0.1, for
    fine-tuning, or what the preset said that it came from."""

    @pydantic.model_validator(mode="after")
    def _begins_with_one_of_two(self) -> MaskedModelConfig:
        if (self.preset is None) == (self.size is None):
            raise ValueError(
                "give one of the two: preset (an encoder to go on from) or size (a new net, "
                "{layers: 4, width: 256, heads: 4})"
            )
        if self.size is not None and (self.adaptation.type != "full" or self.adapter is not None):
            raise ValueError("a new net of `size` learns as a whole: leave adaptation and adapter out")
        return self

    @property
    def start(self) -> str:
        """What the net begins with, for people."""
        if self.size is None:
            return str(self.preset)
        return f"a new net of {self.size.layers} layers of width {self.size.width}"

    @property
    def starts_from_data(self) -> bool:
        """Whether what the net begins with is made when the data are prepared."""
        return self.size is not None


class MaskedTrainConfig(LanguageTrainConfig):
    """How a masked language model is trained."""

    optimizer: OptimizerConfig = AdamWConfig(
        type="adamw", learning_rate=5e-4, weight_decay=0.1, beta_2=0.98, global_clipnorm=1.0
    )
    """The optimizer, by `type`. 5e-4 suits new nets of a few million weights; go on from a preset with 5e-5."""
    schedule: ScheduleConfig = ScheduleConfig(type="cosine", warmup=0.05)
    """The learning rate over time."""
    monitor: str = "log_loss"
    """The validation figure that selects the best epoch."""


SECTIONS = Sections(
    task=MaskedLmConfig,
    model=MaskedModelConfig,
    train=MaskedTrainConfig,
    own={"tokenizer": TokenizerConfig},
)
