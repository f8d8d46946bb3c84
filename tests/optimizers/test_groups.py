"""Parameter groups: what a variable is, and which group decides."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from kerasft.optimizers import AdamW, GradientDescent, ParameterGroup, describe_groups, layer_decay_groups
from kerasft.optimizers.groups import resolve_settings, variable_kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("bert_backbone/transformer_layer_3/attention_norm/gamma", "norm"),
        ("batch_normalization/beta", "norm"),
        ("transformer_layer_3/attention_norm_gamma", "norm"),
        ("decoder/rms_norm/scale", "norm"),
        ("encoder/self_attention_layer_norm/bias", "norm"),
        ("encoder/layer_norm/weight", "norm"),
        ("transformer_layer_3/query_key_value/bias", "bias"),
        ("mlm/logits_bias", "bias"),
        ("token_embedding/embeddings", "embedding"),
        ("embeddings/position_embedding/position_embeddings", "embedding"),
        ("lookup/embedding", "embedding"),
        ("token_embedding/projection/kernel", "weight"),
        ("dense_norm_free/kernel", "weight"),
        ("embeddings_layer_norm/gamma", "norm"),
        ("patch_embedding/kernel", "weight"),
        ("unbiased/kernel", "weight"),
    ],
)
def test_kind_is_decided_by_the_path(path, kind):
    assert variable_kind(SimpleNamespace(path=path)) == kind


def test_kinds_of_a_keras_hub_encoder():
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=6,
    )
    kinds = [variable_kind(variable) for variable in backbone.trainable_variables]
    # 3 tables; 3 norms of 2; biases of query, key, value, output, 2 dense and the pooler; as many kernels
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "embedding": 3,
        "norm": 6,
        "bias": 7,
        "weight": 7,
    }


def test_plain_tf_variable_goes_by_its_name():
    assert variable_kind(tf.Variable([0.0], name="layer/bias")) == "bias"


def settings(path, groups, weight_decay=0.1):
    found = resolve_settings(SimpleNamespace(path=path), groups, ("bias", "norm"), weight_decay)
    return found.learning_rate_scale, found.weight_decay


def test_first_group_that_names_a_property_decides_it():
    groups = [
        ParameterGroup("layer_1/kernel", weight_decay=0.5),
        ParameterGroup("layer_1", 0.25),
        ParameterGroup("layer", 0.75, 0.9),
    ]
    assert settings("net/layer_1/kernel", groups) == (0.25, 0.5)
    assert settings("net/layer_1/bias", groups) == (0.25, 0.9)
    assert settings("net/layer_2/kernel", groups) == (0.75, 0.9)
    assert settings("net/head/kernel", groups) == (1.0, 0.1)
    assert settings("net/head/bias", groups) == (1.0, 0.0)


def test_layer_decay_by_hand():
    groups = layer_decay_groups({"head": 0, "layer_2": 1, "layer_1": 2, "layer_10": 3}, 0.5)
    assert settings("net/head/kernel", groups) == (1.0, 0.1)
    assert settings("net/layer_2/sub/kernel", groups) == (0.5, 0.1)
    assert settings("net/layer_1/bias", groups) == (0.25, 0.0)
    assert settings("net/layer_10/kernel", groups) == (0.125, 0.1)
    assert settings("layer_1", groups) == (0.25, 0.1)
    assert layer_decay_groups({"head": 3}, 1.0) == ()


def test_longest_layer_name_wins():
    groups = layer_decay_groups({"bert": 1, "bert/embeddings": 3}, 0.5)
    assert settings("bert/embeddings/table", groups)[0] == 0.125
    assert settings("bert/layer/kernel", groups)[0] == 0.5


@pytest.mark.parametrize("arguments", [({"a": 1}, 0.0), ({"a": 1}, 1.5), ({"a": -1}, 0.5)])
def test_layer_decay_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match=r"decay|distance"):
        layer_decay_groups(*arguments)


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="body", bias_initializer="ones"),
            keras.layers.LayerNormalization(name="norm"),
            keras.layers.Dense(2, name="head", bias_initializer="ones"),
        ],
        name="net",
    )
    return model


@pytest.mark.parametrize("optimizer_class", [GradientDescent, AdamW])
def test_decay_leaves_biases_and_norms_alone(optimizer_class):
    model = make_model()
    before = {v.path: v.numpy() for v in model.trainable_variables}
    optimizer = optimizer_class(0.5, weight_decay=0.1)
    optimizer.apply([tf.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    for variable in model.trainable_variables:
        factor = 0.95 if variable.path.endswith("kernel") else 1.0
        assert variable.numpy() == pytest.approx(before[variable.path] * factor, abs=1e-7)


def test_groups_move_by_their_own_rates():
    model = make_model()
    before = {v.path: v.numpy() for v in model.trainable_variables}
    groups = [ParameterGroup("/head/", 10.0), ParameterGroup("/body/", 0.0)]
    optimizer = GradientDescent(0.1, groups=groups)
    optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables], model.trainable_variables)
    step = {path: 0.1 for path in before}
    step |= {path: 1.0 for path in before if "/head/" in path} | {
        path: 0.0 for path in before if "/body/" in path
    }
    for variable in model.trainable_variables:
        assert before[variable.path] - variable.numpy() == pytest.approx(
            np.full(variable.shape, step[variable.path]), abs=1e-6
        )


def test_description_has_a_row_for_each_way_to_learn():
    model = make_model()
    optimizer = AdamW(0.1, weight_decay=0.1, groups=[ParameterGroup("/head/", 10.0, name="head")])
    rows = describe_groups(optimizer, model.trainable_variables)
    assert [(r["group"], r["parameters"], r["learning_rate_scale"], r["weight_decay"]) for r in rows] == [
        ("weight", 12, 1.0, 0.1),
        ("bias", 3, 1.0, 0.0),
        ("norm", 6, 1.0, 0.0),
        ("head", 6, 10.0, 0.1),
        ("head", 2, 10.0, 0.0),
    ]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    wrapped = keras.optimizers.LossScaleOptimizer(optimizer)
    assert describe_groups(wrapped, model.trainable_variables) == rows
    (row,) = describe_groups(keras.optimizers.AdamW(0.1, weight_decay=0.2), model.trainable_variables)
    assert (row["group"], row["share"], row["weight_decay"]) == ("all", 1.0, 0.2)
