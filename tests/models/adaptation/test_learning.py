"""Which weights learn: by kind of adaptation, by epoch, and what the frozen ones cost."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_bert import PIECES, lend_backbone

from kerasft.models.adaptation.config import (
    BitfitConfig,
    FullConfig,
    GradualConfig,
    HeadOnlyConfig,
    LayerwiseConfig,
    LoraConfig,
)
from kerasft.models.adaptation.learning import (
    UnfreezingStage,
    adapt,
    describe_learning,
    is_head,
    list_blocks,
    list_unfreezing_stages,
)
from kerasft.models.adaptation.lora import add_lora
from kerasft.models.text.encoder import compute_layer_depths
from kerasft.models.text.heads import build_fast_classifier, find_encoder
from kerasft.optimizers.build import build_optimizer
from kerasft.optimizers.config import AdamWConfig

FULL, HEAD, BITFIT = FullConfig(type="full"), HeadOnlyConfig(type="head"), BitfitConfig(type="bitfit")
LORA = LoraConfig(type="lora", rank=2)


def build(pooling: str = "cls", dropout: float = 0.1) -> keras.Model:
    return build_fast_classifier(lend_backbone(dropout=dropout), 2, pooling=pooling, dropout=0.1, seed=0)


def measure_depths(model: keras.Model) -> dict[str, int]:
    depths = compute_layer_depths(find_encoder(model))
    head = max(depths.values()) + 1
    return {**depths, **{variable.path: head for variable in model.get_layer("logits").weights}}


def build_adapted(adaptation: Any, blocks: int | None = None, pooling: str = "cls") -> keras.Model:
    model = build(pooling)
    if adaptation.type == "lora":
        add_lora(model, adaptation, seed=0)
    adapt(model, adaptation, measure_depths(model), blocks)
    return model


def list_learning(model: keras.Model) -> set[str]:
    """The layers, and of layers that learn in part the variables, that learn."""
    learning: dict[str, list[str]] = {}
    for variable in model.trainable_variables:
        learning.setdefault(variable.path.split("/")[0], []).append(variable.path)
    return {
        name if len(paths) == sum(v.path.startswith(f"{name}/") and "seed" not in v.path for v in model.variables)
        else ", ".join(sorted(path.split("/")[1] for path in paths))
        for name, paths in learning.items()
    }  # fmt: skip


def make_batch(count: int = 4, width: int = 8) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    token_ids = np.random.default_rng(0).integers(5, len(PIECES), (count, width)).astype(np.int32)
    inputs = {
        "token_ids": tf.constant(token_ids),
        "segment_ids": tf.zeros_like(token_ids),
        "padding_mask": tf.ones_like(token_ids),
    }
    return inputs, tf.constant([0, 1] * (count // 2))


LAYERS = ["logits", "pooler", "transformer_layer_1", "transformer_layer_0", "embeddings"]


def test_head_is_the_logits_and_berts_pooler() -> None:
    assert list_learning(build_adapted(HEAD)) == {"logits", "pooler"}
    assert list_learning(build_adapted(HEAD, pooling="mean")) == {"logits"}


def test_full_and_layerwise_learn_everything() -> None:
    for adaptation in (FULL, LayerwiseConfig(type="layerwise")):
        assert list_learning(build_adapted(adaptation)) == set(LAYERS)


def test_gradual_learns_a_block_more_with_each_stage() -> None:
    adaptation = GradualConfig(type="gradual")
    model = build()
    for blocks in range(4):
        adapt(model, adaptation, measure_depths(model), blocks)
        assert list_learning(model) == set(LAYERS[: 2 + blocks])


def test_bitfit_learns_biases_offsets_and_the_head() -> None:
    learning = list_learning(build_adapted(BITFIT))
    assert {"logits", "pooler", "layer_norm_beta"} <= learning
    others = learning - {"logits", "pooler", "layer_norm_beta"}
    assert others == {
        "attention_layer_norm_beta, attention_output_bias, feedforward_intermediate_bias, "
        "feedforward_layer_norm_beta, feedforward_output_bias, query_key_value_bias"
    }


def test_lora_learns_its_matrices_and_the_head() -> None:
    model = build_adapted(LORA)
    assert list_learning(model) == {
        "logits",
        "pooler",
        "query_lora_down, query_lora_up, value_lora_down, value_lora_up",
    }
    matrices = [v for v in model.trainable_variables if "_lora_" in v.path]
    assert sum(int(np.prod(v.shape)) for v in matrices) == 2 * 2 * (32 * 2 + 2 * 32)


def test_variables_are_named_by_their_layer_and_target_whatever_was_built_before() -> None:
    names = [sorted(v.path for v in build_adapted(LORA).weights) for _ in range(2)]
    assert names[0] == names[1]
    assert "transformer_layer_0/query_lora_down" in names[0]


@pytest.mark.parametrize(
    "adaptation", [HEAD, BITFIT, LORA, GradualConfig(type="gradual")], ids=lambda a: a.type
)
def test_frozen_weights_keep_every_bit_and_the_optimizer_knows_only_what_learns(adaptation: Any) -> None:
    model = build_adapted(adaptation, blocks=1)
    before = {v.path: v.numpy() for v in model.weights}
    learning = {v.path for v in model.trainable_variables}
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=True)  # three steps: a graph would cost more
    model.fit(tf.data.Dataset.from_tensors(make_batch()).repeat(3), epochs=1, verbose=0)
    changed = {v.path for v in model.weights if v.numpy().tobytes() != before[v.path].tobytes()}
    assert changed == learning
    slots = [v for v in optimizer.variables if len(v.shape) > 0]
    assert len(slots) == 2 * len(learning)


def test_a_net_that_is_frozen_as_a_whole_has_no_dropout() -> None:
    inputs, _ = make_batch()
    for adaptation, same in ((HEAD, True), (FULL, False), (BITFIT, False)):
        encoder = find_encoder(build_adapted(adaptation))
        outputs = [encoder(inputs, training=training).numpy() for training in (True, False)]
        assert (outputs[0] == outputs[1]).all() == same


def count_products(model: keras.Model, *, gradient: bool = True) -> int:
    """Matrix products in the graph that leads to the gradients, or to the loss alone."""
    inputs, labels = make_batch()

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        if not gradient:
            return [tf.identity(loss)]
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        return [tf.identity(g) for g in map(tf.convert_to_tensor, gradients)]

    graph = compute.get_concrete_function().graph
    needed = tf.compat.v1.graph_util.extract_sub_graph(
        graph.as_graph_def(), [output.op.name for output in graph.outputs]
    )
    return sum(node.op in ("MatMul", "BatchMatMulV2") for node in needed.node)


def test_frozen_bottom_layers_cost_no_backward_pass() -> None:
    forward = count_products(build_adapted(HEAD), gradient=False)
    # of logits and pooler the gradients by their kernels, and of the logits the one by its input
    assert count_products(build_adapted(HEAD)) - forward == 3
    full = count_products(build_adapted(FULL)) - forward
    top = count_products(build_adapted(GradualConfig(type="gradual"), blocks=1)) - forward
    assert 3 < top < 0.6 * full
    # no kernel's gradient is computed where its bias alone learns
    assert count_products(build_adapted(BITFIT)) - forward < 0.75 * full


def test_layerwise_rates_are_the_formulas() -> None:
    model = build()
    depths = measure_depths(model)
    config = AdamWConfig(type="adamw", learning_rate=1e-3, weight_decay=0.01, layer_decay=0.8)
    from_head = {path: max(depths.values()) - depth for path, depth in depths.items()}
    optimizer = build_optimizer(config, None, 10, from_head)
    optimizer.build(model.trainable_variables)
    rows = {what: rate for what, _, _, rate, _ in describe_learning(model, optimizer, depths, 1e-3)}
    assert list(rows) == ["head", *LAYERS[1:]]
    for distance, rate in enumerate(rows.values()):
        assert rate == pytest.approx(1e-3 * 0.8**distance)


def test_the_table_counts_every_weight_once() -> None:
    model = build_adapted(LORA)
    optimizer = build_optimizer(AdamWConfig(type="adamw", learning_rate=1e-3, weight_decay=0.01), None, 10)
    rows = describe_learning(model, optimizer, measure_depths(model), 1e-3)
    assert [row[0] for row in rows] == ["head", "adapters", "frozen"]
    assert sum(row[1] for row in rows) == sum(int(np.prod(v.shape)) for v in model.weights)
    assert sum(row[2] for row in rows) == pytest.approx(1.0)
    assert rows[1][3:] == (1e-3, "0.01")
    assert rows[2][3:] == (None, None)


def test_blocks_are_listed_from_the_bottom_without_the_head() -> None:
    depths = measure_depths(build())
    assert [block[0].split("/")[0] for block in list_blocks(depths)] == LAYERS[:1:-1]
    assert is_head("pooler/dense_kernel", depths)
    assert not is_head("transformer_layer_1/query_key_value_kernel", depths)


@pytest.mark.parametrize(
    ("every", "epochs", "more", "expected"),
    [
        (1, 3, {}, [(0, 0, 1), (1, 1, 1), (2, 2, 1)]),
        (2, 7, {}, [(0, 0, 2), (1, 2, 2), (2, 4, 2), (3, 6, 1)]),
        (1, 9, {}, [(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 6)]),
        (1, 9, {"lowest": 1}, [(0, 0, 1), (1, 1, 1), (2, 2, 7)]),
        (1, 2, {"head_is_done": True}, [(1, 0, 1), (2, 1, 1)]),
    ],
)
def test_stages_follow_the_epochs(every: int, epochs: int, more: dict, expected: list) -> None:
    stages = list(
        list_unfreezing_stages(GradualConfig(type="gradual", every_epochs=every), epochs, 3, **more)
    )
    assert [(stage.blocks, stage.first_epoch, stage.epochs) for stage in stages] == expected
    assert [stage.final for stage in stages] == [False] * (len(stages) - 1) + [True]


def test_others_have_one_stage() -> None:
    assert list(list_unfreezing_stages(LORA, 4, 3)) == [UnfreezingStage(None, 0, 4, True)]
