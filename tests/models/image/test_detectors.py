"""Detectors on image backbones: maps fused to one, first answers, the threshold among the weights, the fast form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from tolerances import IMAGE_NET

from kerasft.models.image.backbones import build_image_backbone, find_feature_map_layers
from kerasft.models.image.detectors import (
    DEFAULT_THRESHOLD,
    build_detector,
    get_net,
    set_threshold,
    split_output,
)
from kerasft.models.image.fast import accelerate_image_model
from kerasft.models.image.freezing import compute_layer_depths, freeze, list_blocks
from kerasft.models.image.heads import get_backbone

CLASSES = 3


def make_backbone(size: int | tuple[int, int] = (64, 96), name: str = "mobilenet") -> keras.Model:
    arguments = {"alpha": 0.25} if name == "mobilenet" else {}
    return build_image_backbone(name, size_px=size, weights="none", arguments=arguments, seed=0)


def make_detector(**settings) -> keras.Model:
    return build_detector(make_backbone(), CLASSES, channels=16, **settings)


def make_images(count: int = 2) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(0).integers(0, 256, (count, 64, 96, 3)).astype(np.float32)}


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("mobilenet", ["conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"]),
        ("efficientnet_lite0", ["block2b_add", "block3b_add", "block5c_add", "top_activation"]),
        (
            "mobilenet_v3_small",
            ["expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add", "conv_1_activation"],
        ),
    ],
)
def test_the_maps_are_the_outputs_of_the_last_block_of_each_resolution(name: str, layers: list[str]) -> None:
    found = find_feature_map_layers(make_backbone(64, name))
    assert [found[f"stride_{stride}"] for stride in (4, 8, 16)] == layers[:3]
    assert list(found.values())[3] in (layers[3], make_backbone(64, name).layers[-1].name)


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("quality", [True, False])
def test_a_detector_says_of_each_cell_of_the_finest_map_all_that_is_asked(stride: int, quality: bool) -> None:
    detector = make_detector(stride=stride, quality=quality)
    said = split_output(detector(make_images()), CLASSES)
    cells = (2, 64 // stride, 96 // stride)
    assert said.logits.shape == (*cells, CLASSES)
    assert said.sides.shape == (*cells, 4)
    assert (said.quality.shape == cells) if quality else (said.quality is None)
    np.testing.assert_array_equal(said.threshold, np.full(2, DEFAULT_THRESHOLD, np.float32))


def test_at_first_objects_are_unlikely_and_boxes_of_a_common_size() -> None:
    said = split_output(make_detector()(make_images(), training=True), CLASSES)
    probabilities = keras.ops.convert_to_numpy(keras.ops.sigmoid(said.logits))
    assert 0.003 < probabilities.mean() < 0.03
    sides = keras.ops.convert_to_numpy(said.sides)
    assert sides.min() > 0
    assert 16 < np.median(sides) < 64


def test_distances_stay_finite_whatever_the_weights() -> None:
    detector = make_detector()
    layer = detector.get_layer("sides")
    for value, expected in ((-1e6, 1.0), (1e6, np.exp(8.0))):
        layer.bias.assign(np.full(4, value, np.float32))
        sides = split_output(detector(make_images()), CLASSES).sides
        np.testing.assert_allclose(sides, np.full(sides.shape, expected), rtol=1e-5)


def test_the_threshold_is_a_weight_that_does_not_learn(tmp_path: Path) -> None:
    detector = make_detector()
    before = split_output(detector(make_images()), CLASSES)
    set_threshold(detector, 0.625)
    after = split_output(detector(make_images()), CLASSES)
    np.testing.assert_array_equal(after.threshold, [0.625, 0.625])
    np.testing.assert_array_equal(after.logits, before.logits)
    assert not any("threshold" in variable.path for variable in detector.trainable_variables)
    path = tmp_path / "model.keras"
    detector.save(path)
    np.save(tmp_path / "images.npy", make_images()["image"])
    script = (
        "import keras, numpy as np\n"
        f"model = keras.saving.load_model({str(path)!r})\n"
        f"images = np.load({str(tmp_path / 'images.npy')!r})\n"
        f"np.save({str(tmp_path / 'answers.npy')!r}, model.predict({{'image': images}}, verbose=0))\n"
        "import sys\n"
        "assert not any(name.startswith('kerasft') for name in sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=tmp_path, env={"KERAS_BACKEND": "tensorflow"}
    )
    answers = split_output(np.load(tmp_path / "answers.npy"), CLASSES)
    np.testing.assert_allclose(answers.logits, after.logits, atol=IMAGE_NET)
    np.testing.assert_array_equal(answers.threshold, [0.625, 0.625])


@pytest.mark.numerical
@pytest.mark.parametrize("training", [False, True])
def test_the_fast_form_says_the_same_and_learns_the_same_variables(training: bool) -> None:
    detector = make_detector()
    freeze(get_net(detector))
    fast = accelerate_image_model(detector)
    assert [v.path for v in fast.trainable_variables] == [v.path for v in detector.trainable_variables]
    slow = detector(make_images(), training=training)
    np.testing.assert_allclose(fast(make_images(), training=training), slow, atol=1e-3, rtol=1e-3)


def test_the_net_in_a_detector_is_the_backbone_with_all_its_layers() -> None:
    backbone = make_backbone()
    detector = build_detector(backbone, CLASSES, channels=16)
    net = get_net(detector)
    assert net.name == backbone.name == get_backbone(detector).name
    assert [layer.name for layer in net.layers] == [layer.name for layer in backbone.layers]
    assert list_blocks(net) == list_blocks(backbone)
    for one, other in zip(net.weights, backbone.weights, strict=True):
        assert one is other
    paths = {variable.path for variable in detector.weights}
    assert set(compute_layer_depths(net)) < paths


def test_freezing_the_net_leaves_neck_and_head_to_learn() -> None:
    detector = make_detector()
    before = len(detector.trainable_variables)
    freeze(get_net(detector))
    learning = [variable.path for variable in detector.trainable_variables]
    assert 0 < len(learning) < before
    assert not any("conv_pw" in path for path in learning)
    statistics = [
        variable
        for layer in get_net(detector).layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.non_trainable_variables
    ]
    kept = [np.array(variable) for variable in statistics]
    detector(make_images(), training=True)
    for variable, value in zip(statistics, kept, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_stride_without_a_map_is_refused() -> None:
    with pytest.raises(ValueError, match="no map at stride 2"):
        make_detector(stride=2)


def test_the_same_seed_gives_the_same_weights_and_another_other_ones() -> None:
    first, again, other = (make_detector(seed=seed).get_layer("heat").kernel for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
