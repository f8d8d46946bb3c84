"""Image presets in folders: what a run wrote, keras-hub's ResNets both ways, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from tolerances import IMAGE_NET

from kerasft.errors import ConfigError, PresetError
from kerasft.models.image.backbones import find_feature_map_layers
from kerasft.models.image.freezing import list_blocks
from kerasft.models.image.presets import load_image_backbone, resolve_image_preset, save_image_preset

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def test_a_net_by_name_has_its_arguments_and_size() -> None:
    preset = resolve_image_preset("mobilenet", {"alpha": 0.25})
    assert (preset.net, preset.arguments, preset.image_size_px) == ("mobilenet", {"alpha": 0.25}, 224)
    with pytest.raises(ConfigError, match="Did you mean alpha"):
        resolve_image_preset("mobilenet", {"alhpa": 0.25})


def test_what_a_run_wrote_is_built_again(tmp_path: Path) -> None:
    preset = resolve_image_preset("mobilenet", {"alpha": 0.25})
    backbone = load_image_backbone(preset, weights="none", seed=1)
    (tmp_path / "preset").mkdir()
    save_image_preset(backbone, preset, tmp_path / "preset")
    again = resolve_image_preset(str(tmp_path))  # the run's folder stands for its preset/
    assert (again.net, again.arguments) == ("mobilenet", {"alpha": 0.25})
    loaded = load_image_backbone(again, seed=2)
    np.testing.assert_array_equal(loaded(IMAGES), backbone(IMAGES))
    assert resolve_image_preset("./preset", base=tmp_path) == again
    with pytest.raises(ConfigError, match="has its own"):
        resolve_image_preset(str(tmp_path), {"alpha": 0.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net": "no_such_net"}, "does not name a known net"),
        ({"arguments": {"weights": "x.h5"}}, "takes no such argument"),
        ({"image_size_px": 1 << 20}, "images of 1048576 pixels"),
    ],
)
def test_a_changed_preset_is_told_of(tmp_path: Path, change, message: str) -> None:
    config = {"model_type": "keras_applications", "net": "mobilenet", "arguments": {}, "image_size_px": 224}
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(PresetError, match=message):
        resolve_image_preset(str(tmp_path))


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(PresetError, match="Did you mean mobilenet"):
        resolve_image_preset("mobilnet")
    with pytest.raises(PresetError, match="not fetched from the hubs"):
        resolve_image_preset("kaggle://keras/resnetv1/keras/resnet_50_imagenet")
    with pytest.raises(PresetError, match="is a keras-hub preset"):
        resolve_image_preset("vit_base_patch16_224_imagenet")


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras_hub

    folder = tmp_path_factory.mktemp("hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 2, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(64, 64), scale=[0.01, 0.02, 0.03], offset=[-0.1, -0.2, -0.3]
    )
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(converter)
    keras_hub.models.ResNetImageClassifier(
        backbone=backbone, num_classes=3, preprocessor=preprocessor
    ).save_to_preset(str(folder))
    return folder


def compute_with_keras_hub(folder: Path) -> np.ndarray:
    import keras_hub

    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    converter = keras_hub.layers.ImageConverter.from_preset(str(folder))
    return backbone(converter(IMAGES)).numpy()


def test_a_resnet_of_keras_hub_computes_what_keras_hub_does_and_goes_back(hub_folder: Path, tmp_path) -> None:
    preset = resolve_image_preset(str(hub_folder))
    backbone = load_image_backbone(preset)
    np.testing.assert_allclose(
        backbone(IMAGES), compute_with_keras_hub(hub_folder), rtol=IMAGE_NET, atol=IMAGE_NET
    )
    assert find_feature_map_layers(backbone)["stride_8"] == "stack1_block1_out"
    assert [block.name for block in list_blocks(backbone)][:2] == ["stem", "stack0_block0"]
    backbone.get_layer("conv1_conv").kernel.assign(backbone.get_layer("conv1_conv").kernel * 2.0)
    save_image_preset(backbone, preset, tmp_path)
    np.testing.assert_allclose(
        compute_with_keras_hub(tmp_path), backbone(IMAGES), rtol=IMAGE_NET, atol=IMAGE_NET
    )
    np.testing.assert_array_equal(
        load_image_backbone(resolve_image_preset(str(tmp_path)))(IMAGES), backbone(IMAGES)
    )


def test_a_resnet_of_keras_hub_is_of_plain_keras_layers(hub_folder: Path) -> None:
    backbone = load_image_backbone(resolve_image_preset(str(hub_folder)), weights="none")
    assert {type(layer).__module__.split(".")[0] for layer in backbone.layers} == {"keras"}
    assert isinstance(backbone, keras.Model)
    assert "keras_hub" not in backbone.to_json()


def copy_with(folder: Path, target: Path, file: str, **changes) -> Path:
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    content = json.loads((target / file).read_text())
    content["config"].update(changes)
    (target / file).write_text(json.dumps(content))
    return target


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"stackwise_num_filters": [64, 8192, 8192, 8192]}, "asks for more than"),
        ("config.json", {"stackwise_num_blocks": [2, 2, 2, 10**9]}, "stackwise_num_blocks is not a list"),
        ("config.json", {"stackwise_num_strides": [1, 2]}, "different lengths"),
        ("config.json", {"block_type": {"class_name": "Lambda"}}, "block_type"),
        ("config.json", {"custom_objects": {}}, "does not know: custom_objects"),
        ("image_converter.json", {"scale": [0.1, float("inf"), 0.1]}, "scale is neither"),
        ("image_converter.json", {"image_size": [64, 48]}, "no square image_size"),
    ],
)
def test_numbers_that_no_resnet_has_are_refused(
    hub_folder: Path, tmp_path: Path, file: str, changes, message: str
) -> None:
    copy_with(hub_folder, tmp_path, file, **changes)
    with pytest.raises(PresetError, match=message):
        resolve_image_preset(str(tmp_path))


def test_other_backbones_of_keras_hub_are_refused(tmp_path: Path) -> None:
    config = {"registered_name": "keras_hub>ViTBackbone", "class_name": "ViTBackbone", "config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match="is a ViTBackbone; of keras-hub's image backbones ResNets"):
        resolve_image_preset(str(tmp_path))


def test_a_link_out_of_the_folder_is_refused(hub_folder: Path, tmp_path: Path) -> None:
    copy_with(hub_folder, tmp_path, "config.json")
    (tmp_path / "model.weights.h5").unlink()
    (tmp_path / "model.weights.h5").symlink_to(hub_folder / "model.weights.h5")
    with pytest.raises(PresetError, match="outside the preset's folder"):
        resolve_image_preset(str(tmp_path))
