"""What learns and what stays: batch normalisation while a backbone is frozen, and block by block thereafter."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from lent_nets import lend_image_backbone

from kerasft.models.image.freezing import (
    choose_batch_norm,
    compute_layer_depths,
    freeze,
    list_batch_norms,
    list_blocks,
    unfreeze,
)
from kerasft.models.image.heads import build_image_classifier
from kerasft.models.image_nets import IMAGE_ARCHITECTURES


def build_backbone() -> keras.Model:
    return lend_image_backbone("mobilenet", alpha=0.25)


def fit(model: keras.Model) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False, run_eagerly=True)
    model.fit(images, np.array([0, 1] * 4), batch_size=4, epochs=1, verbose=0)


def read_weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {variable.path: variable.numpy() for variable in model.weights}


def list_changed(before: dict[str, np.ndarray], model: keras.Model) -> set[str]:
    return {path for path, value in read_weights(model).items() if (value != before[path]).any()}


def test_a_frozen_backbone_keeps_every_bit_under_fit() -> None:
    backbone = build_backbone()
    freeze(backbone)
    before = read_weights(backbone)
    model = build_image_classifier(backbone, 2, seed=0)
    fit(model)
    assert list_changed(before, backbone) == set()
    assert {variable.path for variable in model.trainable_variables} == {"logits/kernel", "logits/bias"}


def test_calling_with_training_false_alone_does_not_keep_the_statistics() -> None:
    """The trap that `freeze` is there for: should this fail one day, Keras holds what the call said."""
    backbone = build_backbone()
    before = read_weights(backbone)
    inputs = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
    fit(keras.Model(inputs, keras.layers.Dense(2)(features)))
    changed = list_changed(before, backbone)
    assert {path for path in changed if path.endswith("moving_mean")}


def test_with_frozen_batch_norm_the_rest_learns() -> None:
    backbone = build_backbone()
    for layer in list_batch_norms(
        backbone
    ):  # else so little comes through random weights that nothing is learned
        layer.moving_variance.assign(np.full(layer.moving_variance.shape, 1e-3))
    unfreeze(backbone, batch_norm="frozen")
    before = read_weights(backbone)
    fit(build_image_classifier(backbone, 2, seed=0))
    norms = {variable.path for layer in list_batch_norms(backbone) for variable in layer.weights}
    changed = list_changed(before, backbone)
    assert changed
    assert not changed & norms
    assert {v.path for v in backbone.trainable_variables} == {v.path for v in backbone.weights} - norms


def test_with_trained_batch_norm_its_statistics_move() -> None:
    backbone = build_backbone()
    unfreeze(backbone, batch_norm="train")
    before = read_weights(backbone)
    fit(build_image_classifier(backbone, 2, seed=0))
    statistics = {path for path in before if path.endswith(("moving_mean", "moving_variance"))}
    assert statistics <= list_changed(before, backbone)


def test_only_the_upper_blocks_learn() -> None:
    backbone = build_backbone()
    unfreeze(backbone, last_blocks=2, batch_norm="train")
    learning = {variable.path.split("/")[0] for variable in backbone.trainable_variables}
    assert learning == {
        *("conv_dw_12", "conv_dw_12_bn", "conv_pw_12", "conv_pw_12_bn"),
        *("conv_dw_13", "conv_dw_13_bn", "conv_pw_13", "conv_pw_13_bn"),
    }
    unfreeze(backbone, share=0.0)
    assert backbone.trainable_variables == []
    unfreeze(backbone, share=1.0, batch_norm="train")
    assert len(backbone.trainable_variables) > 50
    freeze(backbone)
    assert backbone.trainable_variables == []


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="share must be"):
        unfreeze(build_backbone(), share=1.5)
    with pytest.raises(ValueError, match="last_blocks must be from 0 to 14"):
        unfreeze(build_backbone(), last_blocks=15)


def test_depths_count_blocks_from_the_bottom() -> None:
    depths = compute_layer_depths(build_backbone())
    assert depths["conv1/kernel"] == 0
    assert depths["conv_dw_1/kernel"] == depths["conv_pw_1_bn/moving_mean"] == 1
    assert depths["conv_pw_13/kernel"] == 13


BLOCKS = {
    "mobilenet_v2": (19, "stem", "expanded_conv", "top"),
    "mobilenet_v3_small": (13, "stem", "expanded_conv", "top"),
    "efficientnet_b0": (18, "stem", "block1a", "top"),
    "efficientnet_lite0": (18, "stem", "block1a", "top"),
    "convnext_tiny": (23, "stem", "stage_0_block_0", "top"),
    "efficientnet_v2_b0": (23, "stem", "block1a", "top"),
    "resnet50": (17, "stem", "conv2_block1", "conv5_block3"),
    "resnet50_v2": (18, "stem", "conv2_block1", "top"),
    "densenet121": (63, "stem", "conv2_block1", "top"),
    "xception": (14, "block1", "block2", "block14"),
    "nasnet_mobile": (17, "stem", "stem_1", "12"),
}
SLOW = (
    "efficientnet_b0",
    "efficientnet_lite0",
    "convnext_tiny",
    "efficientnet_v2_b0",
    "resnet50",
    "resnet50_v2",
    "densenet121",
    "xception",
    "nasnet_mobile",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in BLOCKS]
)
def test_every_net_has_its_blocks(name: str) -> None:
    size = 96 if IMAGE_ARCHITECTURES[name].family.fixed_size else None
    backbone = lend_image_backbone(name, size_px=size)
    blocks = list_blocks(backbone)
    assert (len(blocks), blocks[0].name, blocks[1].name, blocks[-1].name) == BLOCKS[name]
    assert sorted(each for block in blocks for each in block.layers) == sorted(
        layer.name for layer in backbone.layers
    )
    assert set(compute_layer_depths(backbone)) == {variable.path for variable in backbone.weights}
    unfreeze(backbone, last_blocks=1, batch_norm="train")
    assert 0 < len(backbone.trainable_variables) < len(backbone.weights) / 2


def test_random_weights_train_batch_norm_by_default() -> None:
    assert choose_batch_norm("auto", "none") == "train"
    assert choose_batch_norm("auto", "imagenet") == "frozen"
    assert choose_batch_norm("train", "imagenet") == "train"
    assert choose_batch_norm("frozen", "none") == "frozen"
