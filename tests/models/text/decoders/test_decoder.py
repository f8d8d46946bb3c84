"""Causal language models of every kind: who sees whom, gradients, dropout, and what generation computes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_decoders import SIZES, build_model, make_batch, make_row
from tolerances import TINY_BERT, needs_bfloat16

from kerasft.errors import ConfigError
from kerasft.models.adaptation.config import BitfitConfig, LoraConfig
from kerasft.models.adaptation.learning import LORA_MARK, adapt, is_head
from kerasft.models.adaptation.lora import add_lora, list_products, merge_lora
from kerasft.models.text.decoders.build import build_causal_lm, compute_depths, find_sizes
from kerasft.models.text.decoders.cached import CachedDecoder
from kerasft.models.text.decoders.operations import attend, attend_causally
from kerasft.models.text.remat import set_remat
from kerasft.optimizers.groups import variable_kind
from kerasft.optimizers.matrices import count_matrices

pytestmark = pytest.mark.numerical
KINDS = pytest.mark.parametrize("kind", list(SIZES))


def read_prompts(decoder: CachedDecoder, token_ids: np.ndarray, capacity: int) -> tuple[tf.Tensor, tuple]:
    """All tokens at once, positions 0 to n − 1 in each row."""
    batch, count = token_ids.shape
    positions = np.broadcast_to(np.arange(count), token_ids.shape)
    cache = decoder.start(tf.constant(batch), tf.constant(capacity))
    return decoder.extend(tf.constant(token_ids, tf.int32), tf.constant(positions, tf.int32), cache)


def compute_logits(model: keras.Model, token_ids: np.ndarray) -> np.ndarray:
    """float32 (batch, tokens, vocabulary), of texts of one length."""
    decoder = CachedDecoder(model)
    hidden, _ = read_prompts(decoder, token_ids, token_ids.shape[1])
    return decoder.compute_logits(hidden).numpy()


@KINDS
def test_sizes_count_the_weights(kind: str) -> None:
    model = build_causal_lm(SIZES[kind], dropout=0.0, seed=0)
    assert find_sizes(model) == SIZES[kind]
    assert (
        sum(np.prod(variable.shape) for variable in model.trainable_variables)
        == SIZES[kind].count_parameters()
    )


@KINDS
def test_a_packed_row_answers_as_its_texts_alone(kind: str) -> None:
    model = build_model(SIZES[kind])
    packed = make_row(5, 7, 3, padding=2)
    answers = model(packed, training=False).numpy()[0]
    start = 0
    for length in (5, 7, 3):
        part = {name: value[:, start : start + length] for name, value in packed.items()}
        alone = model({**part, "text_ids": tf.ones_like(part["text_ids"])}, training=False).numpy()[0]
        np.testing.assert_allclose(answers[start : start + length], alone, atol=TINY_BERT)
        start += length
    assert not answers[15:].any()
    assert (answers[:4, 0] > 0).all()


@KINDS
def test_the_loss_is_that_of_the_next_token_and_no_token_sees_a_later_one(kind: str) -> None:
    model, batch = build_model(SIZES[kind]), make_batch(3, 9)
    answers = model(batch, training=False).numpy()
    logits = compute_logits(model, batch["token_ids"].numpy())
    told = tf.nn.log_softmax(logits[:, :-1]).numpy()
    targets = batch["targets"].numpy()[:, :-1]
    np.testing.assert_allclose(
        answers[:, :-1, 0], -np.take_along_axis(told, targets[..., None], -1)[..., 0], atol=1e-5
    )
    np.testing.assert_array_equal(answers[:, :-1, 1], told.argmax(-1) == targets)
    changed = batch["token_ids"].numpy()
    changed[:, 5:] = (changed[:, 5:] + 1) % 40
    other = compute_logits(model, changed)
    np.testing.assert_allclose(other[:, :5], logits[:, :5], atol=1e-5)
    assert (np.abs(other[:, 5:] - logits[:, 5:]).max((1, 2)) > 1e-3).all()


@KINDS
def test_generation_computes_what_the_model_does_for_prompts_of_unequal_length(kind: str) -> None:
    model = build_model(SIZES[kind])
    decoder = CachedDecoder(model)
    assert (decoder.layers, decoder.width, decoder.vocabulary_size, decoder.context) == (2, 16, 40, 16)
    lengths, steps = np.array([6, 2, 4]), 5
    texts = np.random.default_rng(0).integers(0, 40, (3, 6 + steps)).astype(np.int32)
    padded = np.where(np.arange(6) < lengths[:, None], texts[:, :6], 39)
    hidden, cache = read_prompts(decoder, padded, 6 + steps)
    found = [hidden.numpy()[np.arange(3), lengths - 1]]
    step = tf.function(decoder.extend, reduce_retracing=True)
    for place in range(steps):
        positions = (lengths + place)[:, None].astype(np.int32)
        next_ids = np.take_along_axis(texts, positions, 1)
        hidden, cache = step(tf.constant(next_ids), tf.constant(positions), cache)
        found.append(hidden.numpy()[:, 0])
    logits = np.stack([decoder.compute_logits(tf.constant(each)).numpy() for each in found], 1)
    for row, length in enumerate(lengths):
        whole = compute_logits(model, texts[row : row + 1, : length + steps])[0]
        np.testing.assert_allclose(logits[row], whole[length - 1 :], atol=1e-5)


@KINDS
def test_generation_reads_the_weights_of_a_model_that_learns_products_included(kind: str) -> None:
    model, tokens = build_model(SIZES[kind]), make_batch(2, 6)["token_ids"].numpy()
    decoder = CachedDecoder(model)
    before = decoder.compute_logits(read_prompts(decoder, tokens, 6)[0]).numpy()
    targets = ("query", "key", "value", "attention_output", "feedforward_intermediate", "feedforward_output")
    add_lora(model, LoraConfig(type="lora", rank=2, targets=targets), seed=0)
    np.testing.assert_array_equal(decoder.compute_logits(read_prompts(decoder, tokens, 6)[0]), before)
    for number, factor in enumerate(list_products(model)):
        noise = 0.1 * np.random.default_rng(number).standard_normal(factor.shape)
        factor.assign(factor.numpy() + noise)
    after = decoder.compute_logits(read_prompts(decoder, tokens, 6)[0]).numpy()
    assert np.abs(after - before).max() > 1e-2
    merge_lora(model)
    np.testing.assert_allclose(
        decoder.compute_logits(read_prompts(decoder, tokens, 6)[0]), after, atol=10 * TINY_BERT
    )


def test_generation_can_be_exported(tmp_path: Path) -> None:
    model, tokens = build_model(SIZES["rotary"]), make_batch(2, 6)["token_ids"]
    expected = compute_logits(model, tokens.numpy())[:, -1]
    module = tf.Module()
    module.decoder = decoder = CachedDecoder(model)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def answer(token_ids: tf.Tensor) -> tf.Tensor:
        batch, count = tf.shape(token_ids)[0], tf.shape(token_ids)[1]

        def step(place: tf.Tensor, hidden: tf.Tensor, *cache: tf.Tensor) -> tuple:
            positions = tf.fill([batch, 1], place)
            hidden, cache = decoder.extend(tf.reshape(token_ids[:, place], [batch, 1]), positions, cache)
            return place + 1, hidden, *cache

        start = (tf.constant(0), tf.zeros([batch, 1, decoder.width]), *decoder.start(batch, count))
        end = tf.while_loop(lambda place, *_: place < count, step, start)
        return decoder.compute_logits(end[1][:, 0])

    module.answer = answer
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    found = loaded.answer(tokens)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def compute_gradients(
    model: keras.Model, batch: dict[str, tf.Tensor], *, in_graph: bool = False
) -> list[np.ndarray]:
    def run(batch: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(batch, training=True)[..., 0])
        found = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        return [tf.convert_to_tensor(gradient) for gradient in found]

    run = tf.function(run, autograph=False) if in_graph else run
    return [gradient.numpy() for gradient in run(batch)]


@pytest.mark.parametrize(
    ("kind", "in_graph"),
    [("learned", False), ("own", False), pytest.param("rotary", True, marks=pytest.mark.slow)],
)
def test_layers_that_are_computed_twice_have_the_same_gradients_dropout_on(kind: str, in_graph: bool) -> None:
    batch = make_batch(3, 12)
    once, twice = (build_model(SIZES[kind], dropout=0.2) for _ in range(2))
    set_remat(twice, True)
    first, second = (compute_gradients(model, batch, in_graph=in_graph) for model in (once, twice))
    for mine, theirs in zip(first, second, strict=True):
        assert np.abs(mine).max() > 0
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@KINDS
def test_gradients_are_the_slopes_of_the_loss(kind: str) -> None:
    model, batch = build_model(SIZES[kind]), make_batch(2, 8)
    gradients = compute_gradients(model, batch)
    compute_loss = tf.function(lambda: tf.reduce_sum(tf.cast(model(batch)[..., 0], tf.float64)))
    generator = np.random.default_rng(0)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        value, direction = variable.numpy(), generator.standard_normal(variable.shape)
        losses = []
        for sign in (1, -1):
            variable.assign(value + sign * 2e-3 * direction)
            losses.append(float(compute_loss()))
        variable.assign(value)
        slope, expected = (losses[0] - losses[1]) / 4e-3, float((gradient * direction).sum())
        assert abs(slope - expected) < 0.02 * np.linalg.norm(gradient) + 0.02, variable.path


def test_dropout_follows_from_the_seed_alone_and_only_while_training() -> None:
    batch = make_batch(2, 8)
    first, same, other = (
        build_causal_lm(SIZES["learned"], dropout=0.3, seed=seed)(batch, training=True).numpy()
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0
    model = build_causal_lm(SIZES["learned"], dropout=0.3, seed=1)
    np.testing.assert_array_equal(model(batch, training=False), model(batch, training=False))
    assert np.abs(first - model(batch, training=False)).max() > 0


def test_a_new_net_begins_as_its_kind_does() -> None:
    for kind, sizes in SIZES.items():
        model = build_causal_lm(sizes, dropout=0.0, seed=0)
        layer = model.get_layer("transformer_layer_1")
        kernels = [layer._dense[name][0].numpy() for name in layer._dense]
        merged, out, wide, narrow = (float(kernel.std()) for kernel in kernels)
        assert 0.015 < merged < 0.025
        assert 0.015 < wide < 0.025
        if kind == "own":
            assert out == narrow == 0
        else:
            assert 0.007 < out < 0.013
            assert 0.007 < narrow < 0.013
        # no two matrices begin with the same numbers
        assert kernels[0].flat[0] != kernels[2].flat[0]


def test_depths_and_kinds_of_variables() -> None:
    for kind, sizes in SIZES.items():
        model = build_causal_lm(sizes, dropout=0.0, seed=0)
        depths = compute_depths(model)
        assert {path.split("/")[0]: depth for path, depth in depths.items()} == {
            "embeddings": 0,
            "transformer_layer_0": 1,
            "transformer_layer_1": 2,
            "final_norm": 3,
            **({} if sizes.tied else {"loss_head": 3}),
        }
        assert {weight.path for weight in model.trainable_variables} <= set(depths)
        matrices = {weight.path: count_matrices(weight) for weight in model.trainable_variables}
        merged = {"learned": 3, "rotary": 4, "own": 4}[kind]
        assert matrices["transformer_layer_0/query_key_value_kernel"] == merged
        gated = 2 if kind == "rotary" else 1
        assert matrices["transformer_layer_0/feedforward_intermediate_kernel"] == gated
        for weight in model.trainable_variables:
            if "embeddings" in weight.path.split("/")[-1]:
                assert variable_kind(weight) == "embedding"
                assert matrices[weight.path] == 0
            if weight.path.endswith("gamma"):
                assert variable_kind(weight) == "norm"


def test_attention_in_blocks_is_attention() -> None:
    generator = np.random.default_rng(0)
    query, key, value = (
        tf.constant(generator.standard_normal((2, 1, 3, 11, 4)), tf.float32) for _ in range(3)
    )
    mask = tf.constant(np.where(np.tril(np.ones((11, 11))), 0.0, -1e9), tf.float32)[None]
    whole = attend(query, key, value, mask)
    for blocks in (1, 3, 4, 16):
        found = attend_causally(query, key, value, mask, tf.identity, blocks)
        np.testing.assert_allclose(found, whole, atol=TINY_BERT)


@needs_bfloat16
@KINDS
def test_narrow_products_stay_near_float32(kind: str) -> None:
    batch = make_batch(2, 8)
    exact = build_model(SIZES[kind])(batch).numpy()[..., 0]
    narrow = build_model(SIZES[kind], matmul_dtype="bfloat16")(batch).numpy()[..., 0]
    assert 0 < np.abs(exact - narrow).max() < 0.2


@KINDS
def test_lora_and_bitfit_leave_the_head_of_a_preset_as_it_is(kind: str) -> None:
    lora = LoraConfig(type="lora", rank=2)
    for has_new_head in (False, True):
        model = build_causal_lm(SIZES[kind], dropout=0.0, seed=0)
        add_lora(model, lora, seed=0)
        depths = compute_depths(model)
        adapt(model, lora, depths, has_new_head=has_new_head)
        others = [variable.path for variable in model.trainable_variables if LORA_MARK not in variable.path]
        assert len(model.trainable_variables) - len(others) == 4 * SIZES[kind].layers
        head = {variable.path for variable in model.weights if is_head(variable.path, depths)}
        assert set(others) == (head if has_new_head else set())
    model, bitfit = build_causal_lm(SIZES[kind], dropout=0.0, seed=0), BitfitConfig(type="bitfit")
    if SIZES[kind].biases:
        adapt(model, bitfit, compute_depths(model), has_new_head=False)
        assert {variable_kind(variable) for variable in model.trainable_variables} <= {"bias", "norm"}
        assert not any("gamma" in variable.path for variable in model.trainable_variables)
        return
    with pytest.raises(ConfigError, match="the net has no biases"):
        adapt(model, bitfit, compute_depths(model), has_new_head=False)
