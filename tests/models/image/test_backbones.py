"""Image backbones: pixels go in as they are, names are stable, feature maps have their strides, files open anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.src.applications import convnext
from lent_nets import lend_image_backbone
from tolerances import IMAGE_NET, needs_bfloat16

from kerasft.errors import ConfigError
from kerasft.models.image.backbones import (
    BACKBONE,
    add_preprocessing,
    build_feature_extractor,
    build_image_backbone,
    find_feature_map_layers,
)
from kerasft.models.image.heads import build_image_classifier, get_backbone, split_classifier
from kerasft.models.image_nets import IMAGE_ARCHITECTURES

pytestmark = pytest.mark.numerical

OF_KERAS = sorted(name for name, each in IMAGE_ARCHITECTURES.items() if each.family.of_keras)
QUICK = ("mobilenet", "mobilenet_v3_small")
SLOW = (
    "convnext_tiny",
    "mobilenet_v2",
    "efficientnet_b0",
    "efficientnet_lite0",
    "mobilenet_v3_large",
    "efficientnet_v2_b0",
    "resnet50",
    "resnet50_v2",
    "densenet121",
    "xception",
    "nasnet_mobile",
)
FAMILIES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
MODULES = {
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3",
    "EfficientNetB": "efficientnet",
    "EfficientNetV2": "efficientnet_v2",
    "ConvNeXt": "convnext",
    "DenseNet": "densenet",
    "Xception": "xception",
    "NASNet": "nasnet",
}


def make_images(size: int = 64, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def find_preprocess_input(builder: str):
    if builder.startswith("ResNet"):
        module = "resnet_v2" if builder.endswith("V2") else "resnet"
    else:
        module = max((key for key in MODULES if builder.startswith(key)), key=len)
        module = MODULES[module]
    return getattr(keras.applications, module).preprocess_input


@pytest.mark.parametrize("name", OF_KERAS)
def test_preprocessing_is_that_of_keras(name: str) -> None:
    architecture = IMAGE_ARCHITECTURES[name]
    pixels = make_images(7).astype(np.float32)
    inputs = keras.Input((None, None, 3))
    outputs = add_preprocessing(inputs, architecture.family.preprocessing)
    if outputs is inputs:
        ours = pixels
    else:
        ours = keras.Model(inputs, outputs)(pixels).numpy()
    np.testing.assert_allclose(
        ours, find_preprocess_input(architecture.builder)(pixels.copy()), rtol=1e-6, atol=2e-6
    )


def find_first_convolution(backbone: keras.Model) -> keras.layers.Layer:
    stem = next(
        layer
        for layer in backbone.layers
        if isinstance(layer, keras.layers.Conv2D | keras.Sequential | keras.layers.ZeroPadding2D)
    )
    return stem


def compute_what_the_first_convolution_reads(backbone: keras.Model, images: np.ndarray) -> np.ndarray:
    return keras.Model(backbone.inputs[0], find_first_convolution(backbone).input)(images).numpy()


@pytest.mark.parametrize(
    ("name", "center", "scale"),
    [
        ("mobilenet", 127.5, 127.5),
        ("mobilenet_v3_small", 127.5, 127.5),
        ("efficientnet_lite0", 127.0, 128.0),
        ("efficientnet_b0", np.multiply(255, (0.485, 0.456, 0.406)), np.multiply(255, (0.229, 0.224, 0.225))),
        ("convnext_tiny", np.multiply(255, (0.485, 0.456, 0.406)), np.multiply(255, (0.229, 0.224, 0.225))),
    ],
)
def test_pixels_are_preprocessed_once(name: str, center, scale, monkeypatch) -> None:
    if name == "convnext_tiny":  # what comes after its stem is left out
        small = partial(convnext.ConvNeXt, depths=[1, 1, 1, 1], projection_dims=[8, 8, 8, 8])
        monkeypatch.setattr(keras.applications, "ConvNeXtTiny", small)
        backbone = build_image_backbone(name, weights="none")
    else:
        backbone = lend_image_backbone(name)
    images = make_images()
    read = compute_what_the_first_convolution_reads(backbone, images)
    np.testing.assert_allclose(read, (images - center) / scale, rtol=1e-4, atol=1e-4)


def test_bytes_and_floats_are_the_same_pixels() -> None:
    backbone = lend_image_backbone("mobilenet", alpha=0.25)
    images = make_images()
    np.testing.assert_array_equal(backbone(images), backbone(images.astype(np.float32)))
    assert backbone.predict(images, verbose=0).dtype == np.float32


@pytest.mark.parametrize("name", FAMILIES)
def test_feature_maps_have_their_strides(name: str) -> None:
    size = 96 if name == "xception" else 64
    backbone = lend_image_backbone(
        name, size_px=size if IMAGE_ARCHITECTURES[name].family.fixed_size else None
    )
    assert backbone.name == BACKBONE
    assert backbone.count_params() == IMAGE_ARCHITECTURES[name].parameters
    maps = build_feature_extractor(backbone)(make_images(size))
    assert list(maps) == ["stride_4", "stride_8", "stride_16", "stride_32"]
    for key, value in maps.items():
        rows = size // int(key.removeprefix("stride_"))
        if (name, key) == ("xception", "stride_4"):
            rows -= 1
        assert value.shape[:3] == (2, rows, rows), key
    np.testing.assert_allclose(maps["stride_32"], backbone(make_images(size)), rtol=IMAGE_NET, atol=IMAGE_NET)


@pytest.mark.parametrize("name", FAMILIES)
def test_names_do_not_depend_on_what_else_was_built(name: str) -> None:
    size = 96 if IMAGE_ARCHITECTURES[name].family.fixed_size else None

    first = lend_image_backbone(name, size_px=size)
    again = build_image_backbone(name, size_px=size, weights="none", seed=0)
    for one, other in zip(first.weights, again.weights, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one, other)
    assert len({variable.path for variable in first.weights}) == len(first.weights)
    assert [layer.name for layer in first.layers] == [layer.name for layer in again.layers]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "resnet50_v2", "densenet121", "xception", "mobilenet_v2"])
def test_the_net_is_that_of_keras(name: str) -> None:
    architecture = IMAGE_ARCHITECTURES[name]
    ours = build_image_backbone(name, size_px=96, weights="none", seed=1)
    theirs = getattr(keras.applications, architecture.builder)(
        include_top=False, weights=None, input_shape=(96, 96, 3)
    )
    theirs.set_weights(ours.get_weights())
    images = make_images(96)
    pixels = find_preprocess_input(architecture.builder)(images.astype(np.float32))
    np.testing.assert_allclose(ours(images), theirs(pixels), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_convnext_with_its_layer_scale_replaced_computes_the_same(tmp_path: Path) -> None:
    theirs = keras.applications.ConvNeXtTiny(weights=None, input_shape=(64, 64, 3), classes=5)
    for layer in theirs.layers:
        if layer.name.endswith("layer_scale"):  # as small as it begins it would hide a mistake
            layer.set_weights([np.random.default_rng(0).uniform(0.1, 1.0, layer.gamma.shape)])
    theirs.save(tmp_path / "net.h5")
    ours = build_image_backbone("convnext_tiny", size_px=64, weights=str(tmp_path / "net.h5"))
    images = make_images()
    pooled = ours(images).numpy()
    last = theirs.get_layer("convnext_tiny_head_gap").input
    norm = theirs.get_layer("convnext_tiny_head_layernorm")
    expected = norm(keras.Model(theirs.input, last)(images.astype(np.float32)))
    np.testing.assert_allclose(pooled, expected, rtol=1e-3, atol=1e-4)


def test_a_wider_net_has_the_layers_of_its_kin() -> None:
    narrow = build_image_backbone("mobilenet_v3_large", arguments={"alpha": 0.35}, weights="none")
    assert find_feature_map_layers(narrow)["stride_16"] == "expanded_conv_11_add"
    plain = build_image_backbone("mobilenet_v3_small", arguments={"minimalistic": True}, weights="none")
    assert find_feature_map_layers(plain)["stride_8"] == "expanded_conv_2_add"


def test_an_unknown_net_stride_or_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean efficientnet_b0"):
        build_image_backbone("EfficientNetB0")
    with pytest.raises(ConfigError, match="needs the size of its images"):
        build_image_backbone("nasnet_mobile", weights="none")
    with pytest.raises(ConfigError, match="71 pixels or more"):
        build_image_backbone("xception", size_px=64, weights="none")
    backbone = lend_image_backbone("mobilenet", alpha=0.25)
    with pytest.raises(ValueError, match="not 2"):
        build_feature_extractor(backbone, [2])


@needs_bfloat16
def test_mixed_precision_leaves_preprocessing_and_head_in_float32() -> None:
    backbone = build_image_backbone(
        "mobilenet", arguments={"alpha": 0.25}, weights="none", dtype="mixed_bfloat16"
    )
    model = build_image_classifier(backbone, 3)
    assert backbone.get_layer("preprocessing").compute_dtype == "float32"
    assert backbone.get_layer("conv1").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.weights} == {"float32"}
    assert keras.backend.standardize_dtype(model(make_images()).dtype) == "float32"


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_a_classifier_is_its_two_halves(pooling) -> None:
    backbone = lend_image_backbone("mobilenet", alpha=0.25)
    model = build_image_classifier(backbone, 3, pooling=pooling, dropout=0.5, seed=0)
    extractor, head = split_classifier(model)
    images = make_images()
    features = extractor(images, training=False)
    assert features.shape == (2, 256)
    feature_map = backbone(images, training=False).numpy()
    pooled = feature_map.mean((1, 2)) if pooling == "average" else feature_map.max((1, 2))
    np.testing.assert_allclose(features, pooled, rtol=IMAGE_NET, atol=IMAGE_NET)
    np.testing.assert_allclose(head(features), model(images, training=False), rtol=IMAGE_NET, atol=IMAGE_NET)
    assert head.get_layer("logits").kernel is model.get_layer("logits").kernel


def test_what_the_head_learns_the_classifier_knows() -> None:
    backbone = lend_image_backbone("mobilenet", alpha=0.25)
    model = build_image_classifier(backbone, 2, dropout=0.0, seed=0)
    extractor, head = split_classifier(model)
    images, labels = make_images(count=8), np.array([0] + [1] * 7)
    features = extractor.predict(images, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
    before = model(images, training=False).numpy()
    head.fit(features, labels, epochs=3, verbose=0)
    after = model(images, training=False).numpy()
    assert (before != after).any()
    np.testing.assert_allclose(after, head(features), rtol=IMAGE_NET, atol=IMAGE_NET)


_SCRIPT = """
import json, sys
import keras
import numpy as np
answers = []
for path in sys.argv[3:]:
    model = keras.saving.load_model(path)
    answers.append(model(np.load(sys.argv[1]), training=False).numpy().tolist())
loaded = sorted(name for name in sys.modules if name.split(".")[0] in ("kerasft", "keras_hub"))
json.dump({"answers": answers, "loaded": loaded}, open(sys.argv[2], "w"))
"""


def check_files_open_with_keras_alone(folder: Path, models: dict[str, keras.Model]) -> None:
    images = make_images(96)
    np.save(folder / "images.npy", images)
    (folder / "open.py").write_text(_SCRIPT)
    paths = []
    for name, model in models.items():
        paths.append(str(folder / f"{name}.keras"))
        model.save(paths[-1])
    names = [str(folder / name) for name in ("images.npy", "answers.json")]
    subprocess.run([sys.executable, "-I", str(folder / "open.py"), *names, *paths], check=True, cwd=folder)
    told = json.loads((folder / "answers.json").read_text())
    assert told["loaded"] == []
    for answer, model in zip(told["answers"], models.values(), strict=True):
        np.testing.assert_allclose(answer, model(images, training=False), rtol=IMAGE_NET, atol=IMAGE_NET)


def build_classifiers(names) -> dict[str, keras.Model]:
    return {
        name: build_image_classifier(
            build_image_backbone(name, size_px=96, weights="none"), 3, dropout=0.1, seed=0
        )
        for name in names
    }


@pytest.mark.slow
def test_the_saved_model_opens_with_keras_alone(tmp_path: Path) -> None:
    models = build_classifiers(["mobilenet_v3_small"])
    split_classifier(models["mobilenet_v3_small"])  # which adds nodes to its layers
    check_files_open_with_keras_alone(tmp_path, models)
    again = keras.saving.load_model(tmp_path / "mobilenet_v3_small.keras")
    assert find_feature_map_layers(get_backbone(again))["stride_4"] == "expanded_conv_project_bn"
    ours = models["mobilenet_v3_small"]
    assert [each.path for each in again.weights] == [each.path for each in ours.weights]


@pytest.mark.slow
def test_nets_of_every_kind_of_layer_open_with_keras_alone(tmp_path: Path) -> None:
    names = [
        "mobilenet",
        "efficientnet_b0",
        "efficientnet_lite0",
        "efficientnet_v2_b0",
        "resnet50",
        "convnext_tiny",
        "xception",
    ]
    check_files_open_with_keras_alone(tmp_path, build_classifiers(names))
