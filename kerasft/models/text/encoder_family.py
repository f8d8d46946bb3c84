"""What BERT and its kin share: encoders of transformer layers with a normalisation after each half.

Every weight has one key, whatever a form calls it: `embeddings/token`, `3/query/kernel`, `pooler/bias`. A family says
where keras-hub's backbone keeps it, and what Hugging Face calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import list_weight_files, read_json
from kerasft.models.text.families import TextFamily
from kerasft.models.text.hugging_face import check_tensors, read_tensor_headers, read_tensors
from kerasft.models.text.sizes import FETCH, EncoderSizes, check_holds_parameters, is_hub_form, read_sizes
from kerasft.models.weights.files import Tensor, check_h5_file
from kerasft.text.tokenizers.base import Tokenizer, UnitTokenizer

_POOLER_STDDEV = 0.02
"""Of a pooler that a preset lacks."""
_EMBEDDINGS = {
    "token": "word_embeddings",
    "position": "position_embeddings",
    "segment": "token_type_embeddings",
}


@dataclass(frozen=True)
class LayerNames:
    """Hugging Face's names of the parts of a transformer layer; `folder.3.` stands before those of the fourth."""

    folder: str
    query: str
    key: str
    value: str
    attention_output: str
    attention_layer_norm: str
    feedforward_intermediate: str
    feedforward_output: str
    feedforward_layer_norm: str


class Stored(NamedTuple):
    """A weight as Hugging Face stores it."""

    name: str
    shape: tuple[int, ...]
    transposed: bool
    skipped_rows: int = 0
    """Of the beginning, which stand for nothing."""


class EncoderFamily(TextFamily):
    """A family of such encoders, which our fast encoder computes.

    Attributes:
        hub_tokenizer: keras-hub's, in `keras_hub.models`.
        sizes_class: which sizes there are.
        size_names: keras-hub's name of a size → Hugging Face's.
        dropout_name: Hugging Face's, where it is read from there.
        layer_names: see `LayerNames`.
        has_pooler: whether pre-training has left a dense layer on the first token.
        activation_name: of the feed-forward's, in Hugging Face's config.json.
        activations: what may stand there.
        exact_gelu: whether gelu is computed with the error function; False: by its approximation with tanh.
        layer_norm_epsilon: what variances are added before their root is taken.
        position_offset: rows of Hugging Face's table of positions before the first position's.
    """

    hub_tokenizer: ClassVar[str]
    sizes_class: ClassVar[type[EncoderSizes]]
    size_names: ClassVar[dict[str, str]]
    dropout_name: ClassVar[str | None] = None
    layer_names: ClassVar[LayerNames]
    has_pooler: ClassVar[bool]
    activation_name: ClassVar[str]
    activations: ClassVar[tuple[str, ...]]
    exact_gelu: ClassVar[bool]
    layer_norm_epsilon: ClassVar[float] = 1e-12
    position_offset: ClassVar[int] = 0

    # --- presets ----------------------------------------------------------------------------------------------

    def load_tokenizer(self, folder: Path) -> Tokenizer:
        from kerasft.text.tokenizers.vocabulary import load_vocabulary
        from kerasft.text.tokenizers.wordpiece import WordPiece

        return WordPiece(load_vocabulary(folder))

    def load_unit_tokenizer(self, folder: Path, *, split_characters: bool) -> UnitTokenizer:
        from kerasft.text.spans.units import UnitTokenizer
        from kerasft.text.tokenizers.vocabulary import load_vocabulary

        return UnitTokenizer(load_vocabulary(folder), split_characters=split_characters)

    def read_sizes(self, folder: Path) -> EncoderSizes:
        config = read_json(folder / "config.json")
        activation = config.get(self.activation_name, self.activations[0])
        if not is_hub_form(folder) and activation not in self.activations:
            raise PresetError(
                f"{self.activation_name} is {activation!r:.60}; a {self.title} is computed with "
                f"{' or '.join(self.activations)}.",
                where=str(folder / "config.json"),
                fix="Choose another preset: see `kerasft presets list`.",
            )
        return read_sizes(
            folder,
            self.sizes_class,
            title=self.title,
            hub_class=self.hub_class,
            names=self.size_names,
            dropout_name=self.dropout_name,
        )

    def check_weights(self, folder: Path, sizes: EncoderSizes, *, needs_pooler: bool) -> None:
        paths = [folder / name for name in list_weight_files(folder)]
        check_holds_parameters(sizes, sum(path.stat().st_size for path in paths), folder / "config.json")
        if is_hub_form(folder):  # in which Keras itself compares each weight's shape when it is read
            _check_h5_files([path for path in paths if path.suffix == ".h5"])
            return
        tensors = read_tensor_headers(folder)
        stored = self.list_stored(sizes, tensors, needs_pooler=needs_pooler).values()
        check_tensors(folder, tensors, {each.name: each.shape for each in stored})

    def list_stored(
        self, sizes: EncoderSizes, tensors: dict[str, Tensor], *, needs_pooler: bool = False
    ) -> dict[str, Stored]:
        """Each weight's key → what Hugging Face stores of it.

        Args:
            sizes: the encoder's.
            tensors: what is there: normalisations' weights are named in one of two ways.
            needs_pooler: whether the pooler is listed where it is not there, too.
        """
        hidden, wide = sizes.hidden_dim, sizes.intermediate_dim
        old = any(name.endswith("embeddings.LayerNorm.gamma") for name in tensors)
        rows = {
            "token": sizes.vocabulary_size,
            "position": sizes.max_sequence_length,
            "segment": getattr(sizes, "num_segments", 0),
        }
        stored = {
            f"embeddings/{part}": Stored(f"embeddings.{_EMBEDDINGS[part]}.weight", (count, hidden), False)
            for part, count in rows.items()
            if count
        }
        skipped = self.position_offset
        stored["embeddings/position"] = stored["embeddings/position"]._replace(
            shape=(rows["position"] + skipped, hidden), skipped_rows=skipped
        )
        norms, dense = {"embeddings/norm": "embeddings.LayerNorm"}, {}
        if self.has_pooler and (
            needs_pooler or any(name.endswith("pooler.dense.weight") for name in tensors)
        ):
            dense["pooler"] = ("pooler.dense", (hidden, hidden))
        for index in range(sizes.num_layers):
            for part, name in asdict(self.layer_names).items():
                key, full = f"{index}/{part}", f"{self.layer_names.folder}.{index}.{name}"
                if part.endswith("_norm"):
                    norms[key] = full
                elif part != "folder":
                    wider = {"feedforward_intermediate": (wide, hidden), "feedforward_output": (hidden, wide)}
                    dense[key] = (full, wider.get(part, (hidden, hidden)))
        for key, name in norms.items():
            stored[f"{key}/gamma"] = Stored(f"{name}.{'gamma' if old else 'weight'}", (hidden,), False)
            stored[f"{key}/beta"] = Stored(f"{name}.{'beta' if old else 'bias'}", (hidden,), False)
        for key, (name, shape) in dense.items():
            stored[f"{key}/kernel"] = Stored(f"{name}.weight", shape, True)
            stored[f"{key}/bias"] = Stored(f"{name}.bias", shape[:1], False)
        return stored

    def build_backbone(self, sizes: EncoderSizes) -> Any:
        import keras_hub

        # float32 whatever the preset was saved in: what is learned must not be rounded when it is written back
        build = getattr(keras_hub.models, self.hub_class)
        return build(**asdict(sizes), dtype="float32", name=f"{self.hub_module}_backbone")

    def load_hugging_face_weights(self, backbone: Any, folder: Path) -> None:
        stored = self.list_stored(self.read_sizes(folder), read_tensor_headers(folder))
        keys = {each.name: key for key, each in stored.items()}
        variables = self.find_hub_variables(backbone)
        for name, value in read_tensors(folder, list(keys)):
            variable, source = variables[keys[name]], stored[keys[name]]
            kept = value[source.skipped_rows :]
            variable.assign((kept.T if source.transposed else kept).reshape(variable.shape))
        if self.has_pooler and "pooler/kernel" not in stored:
            # whoever publishes it twice, or after an interruption, must find the same
            kernel = variables["pooler/kernel"]
            kernel.assign(_POOLER_STDDEV * np.random.default_rng(0).standard_normal(kernel.shape, np.float32))
            variables["pooler/bias"].assign(np.zeros(variables["pooler/bias"].shape, np.float32))

    def save_preset(self, model: Any, tokenizer: Any, folder: Path) -> None:
        model.save_to_preset(str(folder))
        self.save_tokenizer(tokenizer, folder)

    def save_tokenizer(self, tokenizer: Any, folder: Path) -> None:
        """Writes a tokenizer into a preset's folder, in keras-hub's form."""
        import keras_hub

        vocabulary = tokenizer.vocabulary
        build = getattr(keras_hub.models, self.hub_tokenizer)
        build(vocabulary=list(vocabulary.pieces), lowercase=vocabulary.lowercase).save_to_preset(str(folder))

    # --- keras-hub's variables --------------------------------------------------------------------------------

    def find_embeddings(self, backbone: Any) -> dict[str, Any]:
        """The tables of a keras-hub backbone: `token`, `position`, and `segment` where there is one."""
        raise NotImplementedError

    def find_hub_variables(self, backbone: Any) -> dict[str, Any]:
        """Each weight's key → the variable of a keras-hub backbone."""
        found = {f"embeddings/{part}": table for part, table in self.find_embeddings(backbone).items()}
        norms, dense = {"embeddings/norm": backbone.get_layer("embeddings_layer_norm")}, {}
        for index in range(backbone.num_layers):
            layer = backbone.get_layer(f"transformer_layer_{index}")
            attention = layer._self_attention_layer
            for part in ("query", "key", "value"):
                dense[f"{index}/{part}"] = getattr(attention, f"{part}_dense")
            dense[f"{index}/attention_output"] = attention.output_dense
            norms[f"{index}/attention_layer_norm"] = layer._self_attention_layer_norm
            for part in ("intermediate", "output"):
                dense[f"{index}/feedforward_{part}"] = getattr(layer, f"_feedforward_{part}_dense")
            norms[f"{index}/feedforward_layer_norm"] = layer._feedforward_layer_norm
        if self.has_pooler:
            dense["pooler"] = backbone.get_layer("pooled_dense")
        for key, layer in norms.items():
            found |= {f"{key}/gamma": layer.gamma, f"{key}/beta": layer.beta}
        for key, layer in dense.items():
            found |= {f"{key}/kernel": layer.kernel, f"{key}/bias": layer.bias}
        return found

    # --- the fast form ----------------------------------------------------------------------------------------

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
        from kerasft.models.text.encoder import build_encoder

        sizes = backbone.get_config()
        encoder = build_encoder(
            sizes if dropout is None else {**sizes, "dropout": dropout},
            self.inputs,
            pooled=pooled,
            selected=selected,
            has_pooler=self.has_pooler,
            exact_gelu=self.exact_gelu,
            layer_norm_epsilon=self.layer_norm_epsilon,
            matmul_dtype=matmul_dtype,
            seed=seed,
            name=f"fast_{self.name}_encoder",
        )
        self.copy_to_fast(backbone, encoder)
        return encoder

    def pair_weights(self, backbone: Any, encoder: Any) -> Iterator[tuple[Any, list[Any]]]:
        """(fast variable, the keras-hub variables that stand side by side in it) for every weight."""
        from kerasft.models.text.encoder import list_variables

        hub = self.find_hub_variables(backbone)
        for variable, keys in list_variables(encoder):
            yield variable, [hub[key] for key in keys]

    def copy_to_fast(self, backbone: Any, encoder: Any) -> None:
        from kerasft.models.text.encoder import join_weights

        join_weights(self.pair_weights(backbone, encoder))

    def copy_to_backbone(self, encoder: Any, backbone: Any) -> None:
        from kerasft.models.text.encoder import compute_merged_kernels, part_weights

        part_weights(self.pair_weights(backbone, encoder), compute_merged_kernels(encoder))

    def compute_depths(self, encoder: Any) -> dict[str, int]:
        from kerasft.models.text.encoder import compute_layer_depths

        return compute_layer_depths(encoder)


def _check_h5_files(paths: list[Path]) -> None:
    for path in paths:
        try:
            check_h5_file(path)
        except ValueError as error:
            raise PresetError(f"The weights cannot be loaded: {error}", where=str(path), fix=FETCH) from error
