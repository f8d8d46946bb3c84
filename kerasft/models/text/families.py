"""Families of text nets: what is special about BERT, DistilBERT, …; a file a family, and a line here.

A family's module imports neither TensorFlow nor Keras before a net is built, so that presets can be listed without.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.sizes import EncoderSizes
from kerasft.text.tokenizers.base import Tokenizer, UnitTokenizer

FAMILIES = {
    "bert": "kerasft.models.text.bert",
    "distilbert": "kerasft.models.text.distilbert",
    "roberta": "kerasft.models.text.roberta",
    "xlm_roberta": "kerasft.models.text.xlm_roberta",
}
"""A family's name → its module, which names its one `TextFamily` object `FAMILY`."""


@dataclass(frozen=True)
class MaskedHeadNames:
    """Hugging Face's names of the head that predicts masked tokens.

    Attributes:
        decoder: of the matrix in the place of the table of token embeddings, where a file has it besides.
    """

    dense: str
    layer_norm: str
    bias: str
    decoder: str


class TextFamily(abc.ABC):
    """Text nets of one architecture: how a preset of it is read, built, made fast, and written back.

    Attributes:
        name: in code and in the names of layers.
        title: for people.
        hub_class: of keras-hub's backbone, in `keras_hub.models`.
        hub_module: of keras-hub that lists the family's presets, in `keras_hub.src.models`.
        model_types: what Hugging Face's config.json says under `model_type`.
        hub_masked_lm: keras-hub's masked language model, in `keras_hub.models`.
        masked_head_names: Hugging Face's names of its head.
        inputs: of the model, by keras-hub's names, each int32 (batch, tokens); a tokenizer's `encode` gives them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    hub_class: ClassVar[str]
    hub_module: ClassVar[str]
    model_types: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]]
    hub_masked_lm: ClassVar[str]
    masked_head_names: ClassVar[MaskedHeadNames]

    def knows(self, config: Mapping[str, Any]) -> bool:
        """Whether a preset's config.json, in keras-hub's or Hugging Face's form, is of this family."""
        if "registered_name" in config:
            return config["registered_name"] in [
                f"{hub}>{self.hub_class}" for hub in ("keras_hub", "keras_nlp")
            ]
        return config.get("model_type") in self.model_types

    # --- presets ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def load_tokenizer(self, folder: Path) -> Tokenizer:
        """The `Tokenizer` of a preset's folder.

        Raises:
            PresetError: there is none, or it is of another kind.
        """

    @abc.abstractmethod
    def load_unit_tokenizer(self, folder: Path, *, split_characters: bool) -> UnitTokenizer:
        """The `UnitTokenizer` of a preset's folder, for tasks that label words or characters.

        Raises:
            PresetError: there is none, or it is of another kind.
        """

    @abc.abstractmethod
    def read_sizes(self, folder: Path) -> EncoderSizes:
        """The sizes that a preset's config.json names.

        Raises:
            PresetError: one is missing, or no net of this family has it.
        """

    @abc.abstractmethod
    def check_weights(self, folder: Path, sizes: EncoderSizes, *, needs_pooler: bool) -> None:
        """Makes sure that a preset's weights are there, in the sizes asked for, before memory is taken for them.

        Args:
            folder: the preset's.
            sizes: the encoder's.
            needs_pooler: False accepts a folder in Hugging Face's form without the pooler, which masked language models
                are saved without.

        Raises:
            PresetError: a tensor is missing, has another shape or no floating point type, or a file lies about itself.
        """

    @abc.abstractmethod
    def build_backbone(self, sizes: EncoderSizes) -> Any:
        """keras-hub's backbone in float32, with whatever weights Keras begins with."""

    @abc.abstractmethod
    def load_hugging_face_weights(self, backbone: Any, folder: Path) -> None:
        """Gives a backbone the weights of a folder in Hugging Face's form, which `check_weights` has looked at."""

    @abc.abstractmethod
    def save_preset(self, backbone: Any, tokenizer: Any, folder: Path) -> None:
        """Writes backbone and tokenizer as a keras-hub preset into an existing or new folder."""

    # --- the fast form ----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def build_fast_encoder(
        self,
        backbone: Any,
        *,
        pooled: bool,
        selected: bool = False,
        dropout: float | None = None,
        matmul_dtype: str = "float32",
        seed: int | None = None,
    ) -> Any:
        """The functional model of our layers that computes what `backbone` does, with its weights.

        Args:
            backbone: keras-hub's.
            pooled: True gives one vector a text, float32 (batch, hidden), by a last layer named `pooler`, and spares
                what it does not need; False one a token, float32 (batch, tokens, hidden).
            selected: True gives one vector at each of the input's `mask_positions`; see
                `kerasft.models.text.encoder.build_encoder`.
            dropout: inside the encoder; None: the backbone's own.
            matmul_dtype: what matrix products take their inputs in: float32, bfloat16, float16.
            seed: of dropout.
        """

    @abc.abstractmethod
    def copy_to_fast(self, backbone: Any, encoder: Any) -> None:
        """Takes the backbone's weights into the fast encoder, exactly."""

    @abc.abstractmethod
    def copy_to_backbone(self, encoder: Any, backbone: Any) -> None:
        """Gives the fast encoder's weights back to the backbone, exactly; products beside them are added."""

    @abc.abstractmethod
    def compute_depths(self, encoder: Any) -> dict[str, int]:
        """For each variable's path its layer's distance from the bottom: 0 for the embeddings, then 1, 2, …"""

    @abc.abstractmethod
    def pick_features(self, outputs: Any, *, pooled: bool) -> Any:
        """Of what keras-hub's backbone gives, what the fast encoder gives."""


def load_family(name: str) -> TextFamily:
    """The family of a name in `FAMILIES`."""
    family: TextFamily = importlib.import_module(FAMILIES[name]).FAMILY
    return family


def list_families() -> list[TextFamily]:
    """All families."""
    return [load_family(name) for name in FAMILIES]


def recognise_family(folder: Path) -> TextFamily | None:
    """The family of a preset's folder; None where it is of no known one.

    Raises:
        PresetError: its config.json cannot be read.
    """
    config = read_json(folder / "config.json")
    return next((family for family in list_families() if family.knows(config)), None)


def find_family(folder: Path) -> TextFamily:
    """The family of a preset's folder.

    Raises:
        PresetError: it is of no known one, or its config.json cannot be read.
    """
    family = recognise_family(folder)
    if family is None:
        config = read_json(folder / "config.json")
        name = config.get("model_type")
        if "registered_name" in config:
            name = config.get("class_name") or config["registered_name"]
        raise PresetError(
            f"The preset is a {str(name)[:60]}; text tasks train {name_families()}.",
            where=str(folder),
            fix="See `kerasft presets list` for what can be named.",
        )
    return family


def family_of(backbone: Any) -> TextFamily:
    """The family of a keras-hub backbone."""
    return next(family for family in list_families() if family.hub_class == type(backbone).__name__)


def name_families() -> str:
    """All families, for people: "BERT and DistilBERT"."""
    *first, last = [family.title for family in list_families()]
    return f"{', '.join(first)} and {last}" if first else last
