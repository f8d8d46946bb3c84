from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tolerances import needs_bfloat16, rounding

from kerasft.models.image.fast import accelerate_image_model, build_fast_forward
from kerasft.models.image.layers import FastLayer
from kerasft.optimizers import GradientDescent

pytestmark = pytest.mark.numerical

SIZE = 32
PICTURES = np.random.default_rng(0).uniform(0, 255, (6, SIZE, SIZE, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
DTYPES = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]


def allow(dtype: str, *, terms: int = 25) -> float:
    """Of two computations of this net, relative to the largest: 12 operations from input to logits, the depthwise one
    of 5 × 5 products, which TensorFlow's own kernels add up in `dtype`."""
    return rounding(dtype, terms=terms, layers=12)


def build_net(seed: int = 1, *, dropout: float = 0.0) -> keras.Model:
    """EfficientNet's block on 32 px: stem, expansion, depthwise 5 × 5, squeeze-and-excitation, residual."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers

    def normalize(x, name):
        random = keras.initializers.RandomUniform(0.5, 1.5, seed=len(name))
        return layers.BatchNormalization(
            gamma_initializer=random, moving_variance_initializer=random, momentum=0.9, name=name
        )(x)

    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255.0)(inputs)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(16, 3, 2, use_bias=False, name="stem")(x)
    x = start = layers.Activation("swish")(normalize(x, "stem_bn"))
    x = layers.Conv2D(32, 1, padding="same", use_bias=False, name="expand")(x)
    x = layers.Activation("swish")(normalize(x, "expand_bn"))
    x = layers.DepthwiseConv2D(5, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.Activation("swish")(normalize(x, "depthwise_bn"))
    squeezed = layers.Reshape((1, 1, 32))(layers.GlobalAveragePooling2D()(x))
    squeezed = layers.Conv2D(4, 1, activation="swish", name="squeeze")(squeezed)
    gate = layers.Conv2D(32, 1, activation="sigmoid", name="excite")(squeezed)
    x = layers.multiply([x, gate])
    x = normalize(layers.Conv2D(16, 1, use_bias=False, name="project")(x), "project_bn")
    x = layers.Dropout(dropout, noise_shape=(None, 1, 1, 1), seed=5)(x)
    x = layers.add([x, start])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


def compute_gradients(model: keras.Model, training: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with tf.GradientTape() as tape:
        logits = model(PICTURES, training=training)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    return logits.numpy(), {v.path: g.numpy() for v, g in zip(variables, gradients, strict=True)}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_outputs_gradients_and_statistics_are_keras(training: bool, frozen: bool) -> None:
    model, other = build_net(), build_net()
    fast = accelerate_image_model(other)
    for net in (model, other):
        for layer in net.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = not frozen
    logits, gradients = compute_gradients(model, training)
    ours, our_gradients = compute_gradients(fast, training)
    np.testing.assert_allclose(ours, logits, atol=2e-5)
    assert list(our_gradients) == list(gradients)
    for path, gradient in gradients.items():
        np.testing.assert_allclose(our_gradients[path], gradient, atol=2e-5, err_msg=path)
    for mine, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-5, err_msg=mine.path)


@needs_bfloat16
def test_bfloat16_stays_near_float32() -> None:
    model = build_net()
    fast = accelerate_image_model(model, "bfloat16")
    exact, gradients = compute_gradients(model, training=False)
    near, near_gradients = compute_gradients(fast, training=False)
    assert near.dtype == np.float32
    assert 0 < np.abs(near - exact).max() < 0.03 * np.abs(exact).max()
    for path, gradient in gradients.items():
        difference = np.linalg.norm(near_gradients[path] - gradient)
        assert difference < 0.1 * np.linalg.norm(gradient) + 1e-4, path


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_fast_net_learns_the_plain_one_has_learned_and_saves(dtype: str, tmp_path: Path) -> None:
    model = build_net(dropout=0.2)
    fast = accelerate_image_model(model, dtype)
    assert [id(v) for v in fast.weights] == [id(v) for v in model.weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fast.compile(GradientDescent(0.2), loss, jit_compile=False)
    history = fast.fit(PICTURES, LABELS, batch_size=6, epochs=25, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not any(isinstance(layer, FastLayer) for layer in loaded.layers)
    assert loaded.to_json() == model.to_json()
    tolerance = 1e-4 if dtype == "float32" else 0.1
    expected = fast(PICTURES, training=False)
    np.testing.assert_allclose(loaded(PICTURES, training=False), expected, atol=tolerance)


def test_building_a_fast_net_leaves_the_plain_one_as_it_was() -> None:
    model, untouched = build_net(), build_net()
    accelerate_image_model(model, "bfloat16")
    assert len(model.weights) == len(untouched.weights)
    np.testing.assert_array_equal(model(PICTURES), untouched(PICTURES))


@pytest.mark.parametrize("frozen", [False, True])
def test_fit_on_batches_of_any_size_moves_weights_as_keras_does(frozen: bool) -> None:
    nets = [build_net(), build_net()]
    for net in nets:
        for layer in net.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = not frozen
    for net in (nets[0], accelerate_image_model(nets[1])):
        net.compile(GradientDescent(0.01), "mse", jit_compile=False)
        net.fit(PICTURES, np.ones((6, 3), np.float32), batch_size=4, epochs=2, shuffle=False, verbose=0)
    for plain, fast in zip(nets[0].weights, nets[1].weights, strict=True):
        np.testing.assert_allclose(fast.numpy(), plain.numpy(), atol=1e-4, err_msg=fast.path)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_forward_function_gives_the_models_answers(dtype: str) -> None:
    model = build_net()
    forward = build_fast_forward(model, dtype)
    tolerance = 2e-5 if dtype == "float32" else 0.03
    for count in (6, 1):
        exact = model(PICTURES[:count], training=False)
        answers = forward(PICTURES[:count])
        assert answers.dtype == tf.float32
        np.testing.assert_allclose(answers, exact, atol=tolerance * np.abs(exact).max())


def test_the_forward_function_keeps_the_weights_it_was_built_with() -> None:
    model = build_net()
    forward = build_fast_forward(model)
    before = forward(PICTURES).numpy()
    model.set_weights([weight * 2 for weight in model.get_weights()])
    np.testing.assert_array_equal(forward(PICTURES), before)


@needs_bfloat16
def test_a_net_within_the_net_is_rebuilt_too() -> None:
    backbone = build_net()
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, keras.layers.Dense(2)(backbone(inputs)))
    fast = accelerate_image_model(model, "bfloat16")
    inner = next(layer for layer in fast.layers if isinstance(layer, keras.Model))
    assert any(isinstance(layer, FastLayer) for layer in inner.layers)
    exact = model(PICTURES, training=False)
    np.testing.assert_allclose(fast(PICTURES, training=False), exact, atol=0.05 * np.abs(exact).max())


@needs_bfloat16
def test_several_outputs_keep_their_structure() -> None:
    model = build_net()
    outputs = {name: model.get_layer(name).output for name in ("stem_bn", "project_bn")}
    fast = accelerate_image_model(keras.Model(model.input, outputs), "bfloat16")
    assert {name: output.dtype for name, output in fast(PICTURES).items()} == dict.fromkeys(
        outputs, tf.float32
    )


def test_other_number_formats_and_models_are_refused() -> None:
    with pytest.raises(ValueError, match="float16"):
        accelerate_image_model(build_net(), "float16")

    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="functional"):
        accelerate_image_model(Subclassed())
    model = build_net()
    several = keras.Model(model.input, [model.output, model.output])
    with pytest.raises(ValueError, match="2 outputs"):
        build_fast_forward(several)


@needs_bfloat16
@pytest.mark.slow
@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small", "ResNet50"])
def test_nets_of_keras_applications_answer_as_they_do_in_keras(name: str) -> None:
    def build() -> keras.Model:
        build_net = getattr(keras.applications, name)
        return build_net(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))

    def distance(answers) -> float:
        difference = tf.cast(answers, tf.float32).numpy() - exact
        return float(np.sqrt(np.mean(np.square(difference))) / np.std(exact))

    keras.utils.set_random_seed(2)
    model = build()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    pictures = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    model(pictures, training=True)  # so that statistics fit
    exact = model(pictures, training=False).numpy()
    # Random weights over few pixels make much of a rounding: nets of 50 layers are some 1e-4 apart.
    assert distance(accelerate_image_model(model)(pictures, training=False)) < 1e-3
    assert distance(build_fast_forward(model)(pictures)) < 1e-3
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    keras_distance = distance(mixed(pictures, training=False))
    assert (
        distance(accelerate_image_model(model, "bfloat16")(pictures, training=False)) < 1.5 * keras_distance
    )
    assert distance(build_fast_forward(model, "bfloat16")(pictures)) < 1.5 * keras_distance
