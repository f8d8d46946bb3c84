"""Families of decoders: what is special about GPT-2, Llama, …; a file a family, and a line here.

A family's module imports neither TensorFlow nor Keras before a net is built, so that presets can be listed without.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.decoders.sizes import DecoderSizes
from kerasft.models.text.sizes import FETCH, is_hub_form
from kerasft.text.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from kerasft.models.text.decoders.weights import Part, Stored

FAMILIES = {
    "gpt2": "kerasft.models.text.decoders.gpt2",
    "llama": "kerasft.models.text.decoders.llama",
    "own": "kerasft.models.text.decoders.own",
}
"""A family's name → its module, which names its one `DecoderFamily` object `FAMILY`."""


class DecoderFamily(abc.ABC):
    """Decoders of one architecture: how a preset of it is read, and what a model of it is published as.

    Attributes:
        name: in configs and in code.
        title: for people.
        model_types: what config.json says under `model_type` in Hugging Face's form.
        hub_class: of keras-hub's backbone, in `keras_hub.models`; empty where keras-hub has no such net.
        hub_module: of keras-hub that lists the family's presets, in `keras_hub.src.models`; empty where there is none.
        hub_keys: of keras-hub's backbone's config.
        architectures: what a GGUF file says under `general.architecture`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    model_types: ClassVar[tuple[str, ...]]
    hub_class: ClassVar[str] = ""
    hub_module: ClassVar[str] = ""
    hub_keys: ClassVar[tuple[str, ...]] = ()
    architectures: ClassVar[tuple[str, ...]] = ()

    def knows(self, config: Mapping[str, Any]) -> bool:
        """Whether a preset's config.json, in keras-hub's or Hugging Face's form, is of this family."""
        if "registered_name" in config:
            names = [f"{hub}>{self.hub_class}" for hub in ("keras_hub", "keras_nlp")]
            return bool(self.hub_class) and config["registered_name"] in names
        return config.get("model_type") in self.model_types

    @abc.abstractmethod
    def make_sizes(
        self,
        *,
        vocabulary_size: int,
        layers: int,
        width: int,
        heads: int,
        context: int,
        kv_heads: int | None = None,
        feedforward: int | None = None,
    ) -> DecoderSizes:
        """The sizes of a new net.

        Args:
            vocabulary_size, layers, width, heads, context: see `DecoderSizes`.
            kv_heads: None: as many as there are heads.
            feedforward: None: what is usual for the width.

        Raises:
            ValueError: no net of this family has these.
        """

    @abc.abstractmethod
    def describe(self, sizes: DecoderSizes) -> dict[str, Any]:
        """The config.json of a net in Hugging Face's form: what `read_sizes` reads."""

    def read_sizes(self, folder: Path) -> DecoderSizes:
        """The sizes that a preset's config.json names, in either form.

        Raises:
            PresetError: one is missing, or the net computes something that kerasft does not.
        """
        path = folder / "config.json"
        try:
            if is_hub_form(folder):
                config = read_json(path)
                inner = config.get("config")
                if not isinstance(inner, dict):
                    raise ValueError("holds no sizes under `config`")
                unknown = sorted(set(inner) - {*self.hub_keys, *_KEYS_OF_ANY})
                if unknown:
                    raise ValueError(f"contains keys that are not known: {', '.join(unknown)[:200]}")
                return self.read_hub_sizes({**inner, **_list_ours(config)})
            return self.read_hugging_face_sizes(read_json(path))
        except KeyError as error:
            raise PresetError(f"lacks {error.args[0]}.", where=str(path), fix=FETCH) from error
        except (ValueError, TypeError, ArithmeticError) as error:
            raise PresetError(f"{error}.", where=str(path), fix=FETCH) from error

    @abc.abstractmethod
    def read_hugging_face_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        """The sizes of Hugging Face's config.json.

        Raises:
            KeyError, TypeError, ValueError: one is missing, or not to be believed.
        """

    def read_hub_sizes(self, config: Mapping[str, Any]) -> DecoderSizes:
        """The sizes of a keras-hub backbone's config; raises as `read_hugging_face_sizes`."""
        raise NotImplementedError

    @abc.abstractmethod
    def list_stored(self, sizes: DecoderSizes, names: Sequence[str]) -> dict[str, list[Stored]]:
        """Each weight's key (see `kerasft.models.text.decoders.weights`) → its parts in Hugging Face's form.

        Args:
            sizes: the decoder's.
            names: what is there: some files have a prefix before all names.
        """

    def read_gguf_sizes(
        self, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> DecoderSizes:
        """The sizes of a GGUF file's metadata and tensors; raises as `read_hugging_face_sizes`."""
        raise NotImplementedError

    def list_gguf(self, sizes: DecoderSizes) -> dict[str, list[Stored]]:
        """Each weight's key → its parts in a GGUF file."""
        raise NotImplementedError

    def load_tokenizer(self, preset: Path) -> Tokenizer:
        """The tokenizer of a preset's folder or GGUF file.

        Raises:
            PresetError: there is none, it is of another kind, or its files are broken.
        """
        from kerasft.models.text.decoders.tokenizer_files import load_decoder_tokenizer

        return load_decoder_tokenizer(preset)

    # --- what a model is published as ---------------------------------------------------------------------------

    @abc.abstractmethod
    def build_public(self, sizes: DecoderSizes) -> Any:
        """The model that opens without kerasft, float32, its weights random: inputs `token_ids` and, where it is
        keras-hub's, `padding_mask`, int32 (batch, tokens), to logits, float32 (batch, tokens, vocabulary)."""

    @abc.abstractmethod
    def list_public(self, public: Any, sizes: DecoderSizes) -> dict[str, list[Part]]:
        """Each weight's key → the public model's variables."""

    @abc.abstractmethod
    def save_preset(self, model: Any, public: Any, sizes: DecoderSizes, folder: Path) -> None:
        """Writes config.json and weights into an existing folder.

        Args:
            model: of `build_causal_lm`.
            public: of `build_public`, with its weights.
            sizes: of both.
            folder: where to.
        """


def refuse_unless(is_so: bool, what: str) -> None:
    """Refuses a config.json that describes another computation.

    Raises:
        ValueError: it does.
    """
    if not is_so:
        raise ValueError(f"{what}, which kerasft does not compute")


def split_width(width: int, heads: int) -> int:
    """The size of a head.

    Raises:
        ValueError: the heads do not share the width evenly.
    """
    if type(width) is not int or type(heads) is not int or heads < 1 or width % heads:
        raise ValueError(f"width is {width!r:.60}, not a multiple of heads, {heads!r:.60}")
    return width // heads


_KEYS_OF_ANY = ("name", "trainable", "dtype", "dropout")
"""Of any keras-hub backbone's config, and of no size."""
CONTEXT_KEY = "kerasft_context"
"""Stands beside a keras-hub backbone's config where that has no place for the context's length."""


def _list_ours(config: Mapping[str, Any]) -> dict[str, Any]:
    return {CONTEXT_KEY: config[CONTEXT_KEY]} if CONTEXT_KEY in config else {}


def load_family(name: str) -> DecoderFamily:
    """The family of a name in `FAMILIES`."""
    family: DecoderFamily = importlib.import_module(FAMILIES[name]).FAMILY
    return family


def list_families() -> list[DecoderFamily]:
    """All families."""
    return [load_family(name) for name in FAMILIES]


def name_families() -> str:
    """All families that presets are of, for people."""
    *first, last = [family.title for family in list_families()]
    return f"{', '.join(first)} and {last}"


def recognise_family(config: Mapping[str, Any]) -> DecoderFamily | None:
    """The family of a preset's config.json; None where it is of no known one."""
    return next((family for family in list_families() if family.knows(config)), None)
