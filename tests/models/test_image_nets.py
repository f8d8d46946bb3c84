"""The table of image nets against keras.applications, the arguments that are taken, and what a config may say."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pydantic
import pytest

from kerasft.errors import ConfigError, PresetError
from kerasft.models.config import ImageModelConfig
from kerasft.models.image.imagenet_files import fetch_imagenet_weights, name_imagenet_file
from kerasft.models.image_nets import IMAGE_ARCHITECTURES, check_arguments, find_architecture, find_near_nets

OF_KERAS = sorted(name for name, each in IMAGE_ARCHITECTURES.items() if each.family.of_keras)


@pytest.mark.parametrize("name", OF_KERAS)
def test_every_builder_takes_the_arguments_that_the_table_allows(name: str) -> None:
    import keras

    architecture = IMAGE_ARCHITECTURES[name]
    parameters = inspect.signature(getattr(keras.applications, architecture.builder)).parameters
    assert set(architecture.family.arguments) <= set(parameters)
    assert {"include_top", "weights", "input_tensor"} <= set(parameters)


TRIED = ("mobilenet", "mobilenet_v3_small", "efficientnet_b0")
TRIED_SLOWLY = (
    "mobilenet_v2",
    "efficientnet_v2_b0",
    "efficientnet_v2_s",
    "resnet50",
    "resnet50_v2",
    "convnext_tiny",
    "densenet121",
    "xception",
    "nasnet_mobile",
)


@pytest.mark.parametrize(
    "name", [*TRIED, *(pytest.param(name, marks=pytest.mark.slow) for name in TRIED_SLOWLY)]
)
def test_the_published_file_is_the_one_that_keras_would_fetch(name: str, monkeypatch) -> None:
    import keras

    architecture, size = IMAGE_ARCHITECTURES[name], IMAGE_ARCHITECTURES[name].image_size_px
    asked: dict[str, str] = {}

    class Asked(Exception):
        pass

    def get_file(fname, origin, cache_subdir=None, file_hash=None):
        asked.update(name=fname, url=origin, hash=file_hash)
        raise Asked

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(Asked):
        getattr(keras.applications, architecture.builder)(include_top=False, input_shape=(size, size, 3))
    file = name_imagenet_file(architecture, {}, size)
    assert (file.name, file.url, file.hash) == (asked["name"], asked["url"], asked["hash"])


def test_all_hashes_are_those_that_keras_knows() -> None:
    known = set()
    for family in ("efficientnet", "efficientnet_v2", "mobilenet_v3", "convnext", "resnet"):
        hashes = importlib.import_module(f"keras.src.applications.{family}").WEIGHTS_HASHES
        known |= {pair[1] for pair in hashes.values()}
    for family in ("densenet", "xception", "nasnet"):
        known |= set(
            inspect.getsource(importlib.import_module(f"keras.src.applications.{family}")).split('"')
        )
    for name in OF_KERAS:
        architecture = IMAGE_ARCHITECTURES[name]
        file = name_imagenet_file(architecture, {}, architecture.image_size_px)
        assert file.hash in known or (file.hash is None and name in ("mobilenet", "mobilenet_v2"))


def test_mobilenets_have_files_by_width_and_size() -> None:
    mobilenet, second = IMAGE_ARCHITECTURES["mobilenet"], IMAGE_ARCHITECTURES["mobilenet_v2"]
    assert name_imagenet_file(mobilenet, {"alpha": 0.25}, 160).name == "mobilenet_2_5_160_tf_no_top.h5"
    assert name_imagenet_file(mobilenet, {"alpha": 0.5}, 300).name == "mobilenet_5_0_224_tf_no_top.h5"
    assert name_imagenet_file(second, {"alpha": 0.35}, 96).name == (
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    )
    with pytest.raises(PresetError, match=r"published for alpha 0.25, 0.5, 0.75, 1.0, not 0.3"):
        name_imagenet_file(mobilenet, {"alpha": 0.3}, 224)
    with pytest.raises(PresetError, match="minimalistic"):
        name_imagenet_file(
            IMAGE_ARCHITECTURES["mobilenet_v3_small"], {"alpha": 0.75, "minimalistic": True}, 224
        )


def test_without_a_network_the_file_to_fetch_and_its_place_are_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(PresetError) as caught:
        fetch_imagenet_weights(IMAGE_ARCHITECTURES["efficientnet_b0"], {}, 224)
    message = str(caught.value)
    assert "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5" in message
    assert str(tmp_path / "models" / "efficientnetb0_notop.h5") in message


def test_a_cached_file_is_used_and_a_changed_one_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    mobilenet = name_imagenet_file(IMAGE_ARCHITECTURES["mobilenet"], {}, 224)
    mobilenet.path.write_bytes(b"weights")  # Keras knows no hash of it
    assert fetch_imagenet_weights(IMAGE_ARCHITECTURES["mobilenet"], {}, 224) == mobilenet.path
    resnet = name_imagenet_file(IMAGE_ARCHITECTURES["resnet50"], {}, 224)
    resnet.path.write_bytes(b"others")
    with pytest.raises(PresetError, match="not the published file"):
        fetch_imagenet_weights(IMAGE_ARCHITECTURES["resnet50"], {}, 224)


def test_near_names_are_found() -> None:
    assert find_near_nets("EfficientNetB0") == ["efficientnet_b0"]
    assert find_near_nets("EfficientNet-Lite0") == ["efficientnet_lite0"]
    assert find_near_nets("mobilnet")[0] == "mobilenet"
    assert find_architecture("mobilnet") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alhpa": 0.25}, "Did you mean alpha"),
        ({"include_top": True}, "It takes alpha, depth_multiplier"),
        ({"alpha": True}, "is True, not a number"),
        ({"alpha": 0}, "from 0.05 to 4"),
        ({"alpha": float("nan")}, "is nan"),
        ({"depth_multiplier": 1.5}, "a whole number from 1 to 8"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_arguments(IMAGE_ARCHITECTURES["mobilenet"], arguments)


def test_a_config_takes_a_net_with_arguments() -> None:
    config = ImageModelConfig(preset="mobilenet", arguments={"alpha": 0.25}, weights="none")
    assert config.arguments == {"alpha": 0.25}
    assert (config.image_size_px, config.resize, config.batch_norm) == (None, "crop", "auto")
    assert ImageModelConfig(preset="mobilenet", arguments={"alpha": 1}).arguments == {"alpha": 1.0}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"preset": "mobilenet", "arguments": {"alhpa": 0.25}}, "Did you mean alpha"),
        ({"preset": "resnet50", "arguments": {"alpha": 0.25}}, "It takes none"),
        ({"preset": "./folder", "arguments": {"alpha": 0.25}}, "only a net given by name"),
        ({"preset": "xception", "image_size_px": 64}, "xception takes 71 pixels or more"),
    ],
)
def test_a_config_names_what_the_net_does_not_take(section, message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        ImageModelConfig(**section)


def test_the_config_and_the_table_import_no_framework() -> None:
    code = (
        "import sys; import kerasft.models.config, kerasft.models.image_nets, kerasft.models.image.imagenet_files;"
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'h5py') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
