"""Masked language models: an encoder and the head that tells the tokens behind masks, in a fast form and keras-hub's.

The fast form computes the head, and the last layer's queries and feed-forward, at masked positions alone: the others'
last outputs reach nothing. Its head shares the table of token embeddings, as BERT's does.

Source: Devlin et al. 2019, arXiv:1810.04805; Press and Wolf 2017, arXiv:1608.05859 (the shared table).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.encoder import PACKED_INPUTS, text_inputs
from kerasft.models.text.encoder_part import EncoderPart
from kerasft.models.text.families import family_of, find_family
from kerasft.models.text.heads import find_encoder
from kerasft.models.text.hugging_face import check_tensors, read_tensor_headers, read_tensors
from kerasft.models.text.operations import exact_gelu
from kerasft.models.text.sizes import FETCH, is_hub_form
from kerasft.models.weights.files import check_finite, check_h5_file

HEAD = "masked_token_head"
"""The name of the fast head's layer."""
_LAYER_NORM_EPSILON = 1e-5
_TASK_CONFIG, _TASK_WEIGHTS = "task.json", "task.weights.h5"


@keras.saving.register_keras_serializable(package="kerasft")
class MaskedTokenHead(EncoderPart):
    """Scores of all tokens at some places: a dense layer, gelu, a normalisation, and the table of embeddings.

        logits = norm(gelu(x·W + b))·Eᵀ + c

    Args:
        vocabulary_size: rows of E.
        hidden_dim: columns of E.
        matmul_dtype: what matrix products take their inputs in.
        seed: of W.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int,
        matmul_dtype: str = "float32",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(0.0, matmul_dtype, seed, layer_norm_epsilon=_LAYER_NORM_EPSILON, **kwargs)
        self.vocabulary_size, self.hidden_dim = vocabulary_size, hidden_dim
        self._dense: dict = {}
        self._norms: dict = {}
        self._add_dense("intermediate_dense", hidden_dim, hidden_dim)
        self._add_norm("intermediate_layer_norm", hidden_dim)
        self.bias = self.add_weight(shape=(vocabulary_size,), initializer="zeros", name="output_bias")
        self.built = True

    def share(self, table: keras.Variable) -> None:
        """Takes the encoder's table of token embeddings, (vocabulary, hidden): it stays the encoder's variable."""
        self._shared = _Untracked(table)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """x float32 (batch, positions, hidden) → logits float32 (batch, positions, vocabulary)."""
        places = tf.shape(x)[:2]
        hidden = exact_gelu(self._linear(tf.reshape(x, (-1, self.hidden_dim)), "intermediate_dense"))
        hidden = self._norm(hidden, "intermediate_layer_norm")
        table = self._shared.table.value
        if self.matmul_dtype != "float32":
            hidden, table = tf.cast(hidden, self.matmul_dtype), tf.cast(table, self.matmul_dtype)
        logits = tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)
        logits = tf.nn.bias_add(logits, self.bias.value)
        return tf.reshape(logits, tf.concat([places, [self.vocabulary_size]], 0))

    def compute_output_spec(self, x, training=None):
        return keras.KerasTensor((*x.shape[:2], self.vocabulary_size), dtype="float32")

    def get_config(self) -> dict:
        config = super().get_config()
        del config["dropout"], config["layer_norm_epsilon"]
        return {**config, "vocabulary_size": self.vocabulary_size, "hidden_dim": self.hidden_dim}


class _Untracked:
    """Holds a variable that another layer owns out of Keras' sight."""

    def __init__(self, table: keras.Variable):
        self.table = table


def build_hub_masked_lm(backbone: Any) -> Any:
    """keras-hub's masked language model on a backbone, its head random.

    Its inputs are the family's and `mask_positions`, int32 (batch, positions).
    """
    import keras_hub

    return getattr(keras_hub.models, family_of(backbone).hub_masked_lm)(backbone, preprocessor=None)


def build_fast_masked_lm(
    hub: Any, *, dropout: float | None, seed: int | None, matmul_dtype: str = "float32"
) -> keras.Model:
    """The model that learns, with the weights of keras-hub's.

    Args:
        hub: of `build_hub_masked_lm`.
        dropout: inside the encoder; None: the backbone's own.
        seed: of all dropout.
        matmul_dtype: what matrix products take their inputs in.

    Returns:
        Functional, from the family's inputs and `PACKED_INPUTS`, int32 (batch, tokens) or (batch, positions), to
        logits, float32 (batch, positions, vocabulary).
    """
    family = family_of(hub.backbone)
    encoder = family.build_fast_encoder(
        hub.backbone, pooled=False, selected=True, dropout=dropout, matmul_dtype=matmul_dtype, seed=seed
    )
    head = MaskedTokenHead(
        hub.backbone.vocabulary_size, hub.backbone.hidden_dim, matmul_dtype, seed, name=HEAD
    )
    head.share(encoder.get_layer("embeddings").tables["token"])
    inputs = text_inputs([*family.inputs, *PACKED_INPUTS])
    model = keras.Model(inputs, head(encoder(inputs)), name="masked_language_model")
    for mine, theirs in _pair_head(model, hub):
        mine.assign(theirs.value)
    return model


def publish_masked_lm(fast: keras.Model, hub: Any) -> None:
    """Gives keras-hub's model the fast one's weights."""
    family_of(hub.backbone).copy_to_backbone(find_encoder(fast), hub.backbone)
    for mine, theirs in _pair_head(fast, hub):
        theirs.assign(mine.value)


def _pair_head(fast: keras.Model, hub: Any) -> list[tuple[keras.Variable, keras.Variable]]:
    """(the fast head's variable, keras-hub's) for each that the encoder does not own."""
    mine, theirs = fast.get_layer(HEAD), hub.masked_lm_head
    dense, norm = theirs._intermediate_dense, theirs._intermediate_layer_norm
    return list(
        zip(
            (*mine._dense["intermediate_dense"], *mine._norms["intermediate_layer_norm"], mine.bias),
            (dense.kernel, dense.bias, norm.gamma, norm.beta, theirs._bias),
            strict=True,
        )
    )


def load_head(hub: Any, folder: Path) -> bool:
    """Gives keras-hub's model the head that a preset was pre-trained with.

    Args:
        hub: of `build_hub_masked_lm`, on the preset's backbone.
        folder: the preset's.

    Returns:
        Whether there is one; the head is left random where there is none.

    Raises:
        PresetError: there is one, and it cannot be loaded.
    """
    found = has_head(folder)
    if found:
        load = _load_hub_head if is_hub_form(folder) else _load_hugging_face_head
        load(hub, folder)
        check_finite(hub, folder)
    return found


def has_head(folder: Path) -> bool:
    """Whether a preset's folder has the head that it was pre-trained with.

    Raises:
        PresetError: the folder cannot be read.
    """
    family = find_family(folder)
    if is_hub_form(folder):
        if not (folder / _TASK_WEIGHTS).is_file():
            return False
        return bool(read_json(folder / _TASK_CONFIG).get("class_name") == family.hub_masked_lm)
    dense = f"{family.masked_head_names.dense}.weight"
    return any(name.endswith(dense) for name in read_tensor_headers(folder))


def _load_hub_head(hub: Any, folder: Path) -> None:
    path = folder / _TASK_WEIGHTS
    try:
        check_h5_file(path)
        hub.load_task_weights(str(path))
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as error:
        raise PresetError(
            f"The head's weights cannot be loaded: {str(error)[:300]}", where=str(path), fix=FETCH
        ) from error


def _load_hugging_face_head(hub: Any, folder: Path) -> None:
    names, tensors = find_family(folder).masked_head_names, read_tensor_headers(folder)
    old = any(name.endswith(f"{names.layer_norm}.gamma") for name in tensors)
    hidden = hub.backbone.hidden_dim
    theirs = hub.masked_lm_head
    dense, norm = theirs._intermediate_dense, theirs._intermediate_layer_norm
    variables = {
        f"{names.dense}.weight": dense.kernel,
        f"{names.dense}.bias": dense.bias,
        f"{names.layer_norm}.{'gamma' if old else 'weight'}": norm.gamma,
        f"{names.layer_norm}.{'beta' if old else 'bias'}": norm.beta,
        names.bias: theirs._bias,
    }
    check_tensors(folder, tensors, {name: tuple(variable.shape) for name, variable in variables.items()})
    if any(name.endswith(names.decoder) for name in tensors):
        _check_tied(hub, folder, names.decoder)
    for name, value in read_tensors(folder, list(variables)):
        variables[name].assign(value.T if value.shape == (hidden, hidden) else value)


def _check_tied(hub: Any, folder: Path, name: str) -> None:
    """Refuses a head with a matrix of its own in the place of the table of token embeddings.

    Raises:
        PresetError: it differs from the table.
    """
    table = hub.backbone.token_embedding.embeddings.numpy()
    for _, value in read_tensors(folder, [name]):
        if not np.array_equal(value, table):
            raise PresetError(
                "The head has a matrix of its own in the place of the table of token embeddings; kerasft computes "
                "masked language models with the table alone.",
                where=str(folder),
                fix="Choose a preset with tied word embeddings (tie_word_embeddings: true in its config.json).",
            )
