"""The sections of causal language modelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from kerasft.config.base import Config
from kerasft.data.kinds.fields import Field
from kerasft.metrics.figures import LANGUAGE, FigureKinds
from kerasft.models.config import ModelConfig
from kerasft.models.text.decoders.config import DecoderModelConfig
from kerasft.optimizers.config import AdamWConfig, OptimizerConfig, ScheduleConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.tokenizers.config import WritingTokenizerConfig
from kerasft.training.config import LanguageTrainConfig

_OF_PRESET = WritingTokenizerConfig(type="preset")
_FIELDS = {
    "text": (Field("text", "text"),),
    "completion": (Field("prompt", "text"), Field("completion", "text")),
    "chat": (Field("messages", "chat"),),
}


class CausalLmConfig(TaskConfig):
    """Learning to predict each token from those before it: a model that writes."""

    cuts_examples: ClassVar[bool] = True
    after_training: ClassVar[tuple[str, ...]] = ("generation",)

    type: Literal["causal_lm"]
    input: Literal["text", "completion", "chat"] = "text"
    """What an example is. `text`: a document, of which every token is learned. `completion`: a `prompt` and its
    `completion`, of which only the completion is learned. `chat`: `messages`, a list of objects with `role` and
    `content`, which the preset's chat template puts together; only what the assistant says is learned."""

    generation: GenerationConfig = GenerationConfig()
    """How the model writes where `kerasft generate` is not told otherwise."""

    @property
    def writing(self) -> GenerationConfig:
        """How the model writes."""
        return self.generation

    @property
    def answers_conversations(self) -> bool:
        """Whether the model has learned to answer conversations."""
        return self.input == "chat"

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example contains."""
        return _FIELDS[self.input]

    def check_sections(self, model: ModelConfig, own: Mapping[str, Config]) -> None:
        """See `TaskConfig.check_sections`."""
        tokenizer = own["tokenizer"]
        assert isinstance(tokenizer, WritingTokenizerConfig)
        if model.starts_from_data and tokenizer.kind == "preset" and tokenizer.preset is None:
            raise ValueError(
                "a new net has no preset whose tokenizer it could take: name one, tokenizer: {type: preset, preset: "
                "NAME}, or train one, tokenizer: {type: byte_bpe}, or characters or unigram"
            )
        if not model.starts_from_data and tokenizer not in (WritingTokenizerConfig(), _OF_PRESET):
            raise ValueError(
                "a preset has its own tokenizer: leave the section tokenizer out, or set model.size in place of preset"
            )
        if self.input == "chat" and model.starts_from_data:
            raise ValueError(
                "input: chat needs a preset with a chat template, and a new net has none: name one under model.preset"
            )

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer."""
        return "log_loss", "bits_per_byte", "tokens"

    @property
    def figure_kinds(self) -> FigureKinds:
        """How the model is measured."""
        return LANGUAGE


class CausalTrainConfig(LanguageTrainConfig):
    """How a causal language model is trained."""

    optimizer: OptimizerConfig = AdamWConfig(
        type="adamw", learning_rate=5e-4, weight_decay=0.1, beta_2=0.95, global_clipnorm=1.0
    )
    """The optimizer, by `type`. 5e-4 to 1e-3 suits new nets of a few million weights; go on from a preset with 5e-5, or
    with 2e-4 by `adaptation: lora`."""
    schedule: ScheduleConfig = ScheduleConfig(type="cosine", warmup=0.05)
    """The learning rate over time."""
    monitor: str = "log_loss"
    """The validation figure that selects the best epoch."""


SECTIONS = Sections(
    task=CausalLmConfig,
    model=DecoderModelConfig,
    train=CausalTrainConfig,
    own={"tokenizer": WritingTokenizerConfig},
)
