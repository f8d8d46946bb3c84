"""The fast encoder against keras-hub's own BertBackbone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_bert import PIECES, build_backbone, lend_backbone
from tolerances import TINY_BERT, needs_bfloat16

from kerasft.models.text.bert import FAMILY
from kerasft.models.text.operations import byte_dropout, gelu, layer_norm
from kerasft.optimizers.groups import variable_kind

pytestmark = pytest.mark.numerical


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(seed=3)


def make_inputs(batch: int, width: int, seed: int = 0, padded: bool = True) -> dict[str, tf.Tensor]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, width + 1, batch) if padded else np.full(batch, width)
    lengths[0] = width
    mask = (np.arange(width) < lengths[:, None]).astype(np.int32)
    token_ids = generator.integers(5, len(PIECES), (batch, width)).astype(np.int32) * mask
    segment_ids = (np.arange(width) >= width // 2).astype(np.int32) * mask
    return {
        "token_ids": tf.constant(token_ids),
        "segment_ids": tf.constant(segment_ids),
        "padding_mask": tf.constant(mask),
    }


@pytest.mark.parametrize(("batch", "width"), [(1, 1), (3, 2), (5, 17), (2, 64)])
def test_pooled_and_sequence_outputs_are_keras_hubs(backbone, batch: int, width: int) -> None:
    inputs = make_inputs(batch, width)
    expected = backbone(inputs, training=False)
    pooled = FAMILY.build_fast_encoder(backbone, pooled=True)(inputs, training=False)
    sequence = FAMILY.build_fast_encoder(backbone, pooled=False)(inputs, training=False)
    np.testing.assert_allclose(pooled, expected["pooled_output"], atol=TINY_BERT)
    tokens = inputs["padding_mask"].numpy().astype(bool)
    np.testing.assert_allclose(
        sequence.numpy()[tokens], expected["sequence_output"].numpy()[tokens], atol=TINY_BERT
    )


def test_padding_reaches_no_token(backbone) -> None:
    encoder = FAMILY.build_fast_encoder(backbone, pooled=True)
    short = make_inputs(4, 9, padded=False)
    wide = {name: tf.pad(value, ((0, 0), (0, 30))) for name, value in short.items()}
    wide["token_ids"] += (1 - wide["padding_mask"]) * 7
    np.testing.assert_allclose(encoder(short), encoder(wide), atol=TINY_BERT)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [pytest.param("bfloat16", 0.05, marks=needs_bfloat16), ("float16", 0.006)]
)
def test_narrow_products_stay_near_float32(backbone, dtype: str, tolerance: float) -> None:
    inputs = make_inputs(8, 20)
    exact = FAMILY.build_fast_encoder(backbone, pooled=True)(inputs)
    narrow = FAMILY.build_fast_encoder(backbone, pooled=True, matmul_dtype=dtype)(inputs)
    assert narrow.dtype == tf.float32
    difference = np.abs(narrow - exact).max()
    assert 0 < difference < tolerance


def compute_gradients(model: keras.Model, inputs, weights: tf.Tensor, key: str | None = None) -> dict:
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = tf.reduce_sum((outputs[key] if key else outputs) * weights)
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    return {
        id(variable): None if gradient is None else tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(variables, gradients, strict=True)
    }


@pytest.mark.parametrize("pooled", [True, False])
def test_gradients_are_keras_hubs(pooled: bool) -> None:
    backbone = build_backbone(seed=4, dropout=0.0)
    inputs = make_inputs(6, 13)
    shape = (6, 32) if pooled else (6, 13, 32)
    weights = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    if not pooled:  # what stands at padding is nobody's business
        weights *= inputs["padding_mask"].numpy()[..., None]
    encoder = FAMILY.build_fast_encoder(backbone, pooled=pooled)
    ours = compute_gradients(encoder, inputs, weights)
    theirs = compute_gradients(backbone, inputs, weights, "pooled_output" if pooled else "sequence_output")
    compared = 0
    for fast, hub in FAMILY.pair_weights(backbone, encoder):
        parts = np.split(ours[id(fast)], len(hub), axis=-1)
        for variable, part in zip(hub, parts, strict=True):
            expected = theirs[id(variable)]
            scale = max(np.abs(expected).max(), 1.0)
            np.testing.assert_allclose(
                part.reshape(variable.shape) / scale, expected / scale, atol=TINY_BERT, err_msg=variable.path
            )
            compared += 1
    unused = 0 if pooled else 2  # the pooler's kernel and bias
    assert compared == len(backbone.trainable_variables) - unused


def test_the_last_layer_for_one_token_gives_the_output_and_gradients_of_the_whole(backbone) -> None:
    """The pooled encoder against the sequence encoder with the same pooler on its first token."""
    inputs = make_inputs(5, 11)
    short = FAMILY.build_fast_encoder(lend_backbone(seed=3, dropout=0.0), pooled=True)
    whole = FAMILY.build_fast_encoder(lend_backbone(seed=3, dropout=0.0), pooled=False)
    kernel, bias = short.get_layer("pooler").weights

    def gradients(encoder, pool):
        with tf.GradientTape() as tape:
            outputs = pool(encoder(inputs, training=True))
            loss = tf.reduce_sum(outputs * tf.range(32, dtype=tf.float32))
        shared = [v for v in encoder.trainable_variables if "pooler" not in v.path]
        return outputs, tape.gradient(loss, [variable.value for variable in shared])

    outputs, narrow = gradients(short, lambda x: x)
    expected, wide = gradients(whole, lambda x: tf.tanh(tf.matmul(x[:, 0], kernel.value) + bias.value))
    np.testing.assert_allclose(outputs, expected, atol=TINY_BERT)
    for a, b in zip(narrow, wide, strict=True):
        a, b = tf.convert_to_tensor(a).numpy(), tf.convert_to_tensor(b).numpy()
        np.testing.assert_allclose(a, b, atol=TINY_BERT * max(np.abs(b).max(), 1.0))


def test_weights_come_back_bit_for_bit(backbone) -> None:
    encoder = FAMILY.build_fast_encoder(backbone, pooled=True)
    other = build_backbone(seed=9)
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(backbone.weights, other.weights, strict=True))
    FAMILY.copy_to_backbone(encoder, other)
    for a, b in zip(backbone.weights, other.weights, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), a.path


def test_every_variable_is_of_the_kind_that_its_name_says(backbone) -> None:
    encoder = FAMILY.build_fast_encoder(backbone, pooled=True)
    for variable in encoder.weights:
        name = variable.path.rsplit("/", 1)[-1]
        kind = {
            "bias": "bias",
            "gamma": "norm",
            "beta": "norm",
            "kernel": "weight",
            "embeddings": "embedding",
        }
        assert variable_kind(variable) == kind[name.rsplit("_", 1)[-1]], variable.path


def test_kinds_hold_as_many_weights_as_in_keras_hubs_backbone(backbone) -> None:
    def count(model):
        totals: dict[str, int] = {}
        for variable in model.trainable_variables:
            kind = variable_kind(variable)
            totals[kind] = totals.get(kind, 0) + int(np.prod(variable.shape))
        return totals

    assert count(FAMILY.build_fast_encoder(backbone, pooled=True)) == count(backbone)


def test_depths_rise_from_the_embeddings_to_the_pooler(backbone) -> None:
    encoder = FAMILY.build_fast_encoder(backbone, pooled=True)
    depths = FAMILY.compute_depths(encoder)
    assert set(depths) == {variable.path for variable in encoder.weights}
    assert {path.split("/")[-2]: depth for path, depth in depths.items()} == {
        "embeddings": 0,
        "transformer_layer_0": 1,
        "transformer_layer_1": 2,
        "pooler": 3,
    }


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9, 0.999])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    dropped = byte_dropout(tf.ones((1000, 401)), rate, tf.constant([1, 2])).numpy()
    rounded = min(round(rate * 256), 255) / 256
    deviation = 4 * np.sqrt(rounded * (1 - rounded) / dropped.size)
    assert abs((dropped == 0).mean() - rounded) < deviation
    assert abs(dropped.mean() - 1) < deviation / (1 - rounded)
    assert len(np.unique(dropped)) == 2


def test_dropout_is_decided_by_its_seed_alone() -> None:
    x = tf.random.stateless_normal((64, 33), (0, 0))
    a, b, c = (byte_dropout(x, 0.3, tf.constant(seed)) for seed in ([5, 6], [5, 6], [5, 7]))
    np.testing.assert_array_equal(a, b)
    assert (a.numpy() != c.numpy()).any()


def test_dropout_of_nothing_is_nothing() -> None:
    x = tf.ones((3, 5))
    assert byte_dropout(x, 0.0, tf.constant([0, 1])) is x
    assert byte_dropout(x[:0], 0.5, tf.constant([0, 1])).shape == (0, 5)


def test_dropout_acts_in_training_alone_and_follows_the_seed(backbone) -> None:
    inputs = make_inputs(4, 8)
    first, again, other = (FAMILY.build_fast_encoder(backbone, pooled=True, seed=seed) for seed in (1, 1, 2))
    still = first(inputs, training=False)
    moved = first(inputs, training=True)
    assert np.abs(moved - still).max() > 1e-3
    np.testing.assert_array_equal(moved, again(inputs, training=True))
    assert np.abs(moved - other(inputs, training=True)).max() > 1e-3
    assert np.abs(moved - first(inputs, training=True)).max() > 1e-3  # the next draw is another
    np.testing.assert_array_equal(still, first(inputs, training=False))


def test_layer_norm_is_keras_own() -> None:
    generator = np.random.default_rng(0)
    x = (generator.standard_normal((7, 32)) * 9 + 4).astype(np.float32)
    layer = keras.layers.LayerNormalization(epsilon=1e-12)
    layer.build(x.shape)
    layer.set_weights([generator.standard_normal(32), generator.standard_normal(32)])
    np.testing.assert_allclose(layer_norm(x, *layer.weights), layer(x), atol=1e-5)


@needs_bfloat16
def test_keras_saves_and_opens_the_fast_encoder(backbone, tmp_path) -> None:
    encoder = FAMILY.build_fast_encoder(backbone, pooled=True, matmul_dtype="bfloat16", seed=5)
    encoder.save(tmp_path / "fast.keras")
    loaded = keras.saving.load_model(tmp_path / "fast.keras")
    inputs = make_inputs(3, 10)
    np.testing.assert_array_equal(loaded(inputs), encoder(inputs))
    assert loaded.get_layer("transformer_layer_1").get_config()["first_token_only"] is True


def test_gelu_and_its_gradient_are_tensorflows_in_double_precision() -> None:
    """In single precision TensorFlow's 1 + tanh loses what is left of small values."""
    x = np.concatenate([np.linspace(-30, 30, 4001), [0.0, -0.0, 1e-20]])
    upstream = np.random.default_rng(0).standard_normal(x.shape)
    results = []
    for function, dtype in ((gelu, tf.float32), (lambda x: tf.nn.gelu(x, approximate=True), tf.float64)):
        value = tf.constant(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch(value)
            y = function(value)
        results.append((y, tape.gradient(y, value, output_gradients=tf.constant(upstream, dtype))))
    (y, slope), (expected, expected_slope) = results
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(slope, expected_slope, rtol=2e-5, atol=TINY_BERT)


@pytest.mark.parametrize("shape", [(7, 32), (3, 5, 32)])
def test_layer_norms_gradient_is_automatic_differentiations(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    values = [generator.standard_normal(size) for size in (shape, 32, 32, shape)]
    x, gamma, beta, upstream = (tf.constant(value, tf.float64) for value in values)
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        y = centred / tf.sqrt(variance + 1e-12) * gamma + beta
    expected = [y, *tape.gradient(y, [x, gamma, beta], output_gradients=upstream)]
    x, gamma, beta, upstream = (tf.cast(value, tf.float32) for value in (x, gamma, beta, upstream))
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        y = layer_norm(x, gamma, beta)
    for a, b in zip(
        [y, *tape.gradient(y, [x, gamma, beta], output_gradients=upstream)], expected, strict=True
    ):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
