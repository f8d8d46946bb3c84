"""Weights from files into a net that was built here: what fits, what is told of, and what is never opened."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from lent_nets import lend_image_backbone
from tolerances import IMAGE_NET

from kerasft.errors import PresetError
from kerasft.models.image.backbones import build_image_backbone
from kerasft.models.image.heads import build_image_classifier
from kerasft.models.image.weights import load_backbone_weights


def get_source() -> keras.Model:
    return lend_image_backbone("mobilenet", seed=1, alpha=0.25)


def get_target() -> keras.Model:
    return lend_image_backbone("mobilenet", seed=2, alpha=0.25)


def load(path: Path) -> keras.Model:
    """Into one net for all tests, of zeros before."""
    target = get_target()
    target.set_weights([np.zeros(variable.shape, "float32") for variable in target.weights])
    load_backbone_weights(target, path)
    return target


def check_equal(one: keras.Model, other: keras.Model) -> None:
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def write_legacy(path: Path, layers: list[tuple[str, list[tuple[str, np.ndarray]]]], root: str = "") -> Path:
    """A file as Keras 2 wrote it: groups by layer, their order and their weights' names as attributes."""
    with h5py.File(path, "w") as file:
        top = file.require_group(root) if root else file
        top.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, weights in layers:
            group = top.create_group(name)
            group.attrs["weight_names"] = [f"{key}:0".encode() for key, _ in weights]
            for key, value in weights:
                group[f"{key}:0"] = value
    return path


def list_layers(model: keras.Model) -> list[tuple[str, list[tuple[str, np.ndarray]]]]:
    return [
        (layer.name, [(variable.path, variable.numpy()) for variable in layer.weights])
        for layer in model.layers
    ]


HEAD = ("predictions", [("predictions/kernel", np.zeros((256, 7), "float32"))])


def test_a_legacy_file_is_read_with_its_head_and_without(tmp_path: Path) -> None:
    source = get_source()
    plain = write_legacy(tmp_path / "no_top.h5", list_layers(source))
    check_equal(load(plain), source)
    with_head = write_legacy(tmp_path / "top.h5", [*list_layers(source), HEAD])
    check_equal(load(with_head), source)


def test_a_file_that_keras_writes_for_its_own_net_is_read(tmp_path: Path) -> None:
    net = keras.applications.MobileNet(weights=None, alpha=0.25, classes=5)
    net.save(tmp_path / "net.h5")
    backbone = build_image_backbone(
        "mobilenet", weights=str(tmp_path / "net.h5"), arguments={"alpha": 0.25}, seed=0
    )
    np.testing.assert_array_equal(backbone.get_layer("conv_pw_7").kernel, net.get_layer("conv_pw_7").kernel)
    bare = keras.applications.MobileNet(weights=None, alpha=0.25, include_top=False)
    bare.save_weights(tmp_path / "net.weights.h5")
    check_equal(load(tmp_path / "net.weights.h5"), bare)


def test_a_net_inside_another_model_is_found_by_its_layers_names(tmp_path: Path) -> None:
    """Whole models, as Keras 2 and others wrote them: what learns first, then all statistics."""
    source = get_source()
    weights = [pair for _, pairs in list_layers(source) for pair in pairs]
    weights.sort(key=lambda pair: "moving" in pair[0])
    layers = [
        ("sequential_1", weights),
        ("sequential_3", [("dense_1/kernel", np.zeros((256, 4), "float32"))]),
    ]
    path = write_legacy(tmp_path / "whole.h5", layers, root="model_weights")
    check_equal(load(path), source)


def test_other_names_are_paired_by_order(tmp_path: Path) -> None:
    source = get_source()
    layers = [
        (f"other_{index}", [(f"other_{index}/{key.split('/')[1]}", value) for key, value in weights])
        for index, (_, weights) in enumerate(list_layers(source))
    ]
    check_equal(load(write_legacy(tmp_path / "w.h5", layers)), source)


@pytest.mark.slow
def test_unnamed_layers_are_paired_in_order(tmp_path: Path) -> None:
    source = build_image_backbone("efficientnet_b0", weights="none", seed=1)
    layers = [
        (name.replace("unnamed_normalization_1", "normalization"), w) for name, w in list_layers(source)
    ]
    layers = [(n, [(key.replace("unnamed_normalization_1", n), v) for key, v in w]) for n, w in layers]
    path = write_legacy(tmp_path / "w.h5", layers)
    backbone = build_image_backbone("efficientnet_b0", weights=str(path), seed=2)
    check_equal(backbone, source)
    images = np.full((1, 64, 64, 3), 200, np.uint8)
    np.testing.assert_allclose(backbone(images), source(images), rtol=IMAGE_NET, atol=IMAGE_NET)


@pytest.mark.parametrize("form", ["backbone.weights.h5", "classifier.weights.h5", "model.keras", "run"])
def test_what_an_earlier_run_wrote_is_read(tmp_path: Path, form: str) -> None:
    source = get_source()
    classifier = build_image_classifier(source, 5, seed=0)
    if form == "backbone.weights.h5":
        source.save_weights(tmp_path / form)
    elif form == "classifier.weights.h5":
        classifier.save_weights(tmp_path / form)
    elif form == "model.keras":
        classifier.save(tmp_path / form)
    else:
        (tmp_path / form).mkdir()
        classifier.compile("sgd", "mse")
        classifier.save(tmp_path / form / "model.keras")
    check_equal(load(tmp_path / form), source)


def test_a_net_of_another_width_is_told_of(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "w.h5", list_layers(get_source()))
    wider = lend_image_backbone("mobilenet", alpha=0.5)
    with pytest.raises(PresetError, match=r"conv1 has the shapes \[3, 3, 3, 8\], and the net's conv1 has"):
        load_backbone_weights(wider, path)
    classifier = build_image_classifier(get_source(), 5)
    classifier.save(tmp_path / "model.keras")
    with pytest.raises(PresetError, match="cannot be loaded"):
        load_backbone_weights(wider, tmp_path / "model.keras")
    with pytest.raises(PresetError, match="belongs to another net"):
        load_backbone_weights(lend_image_backbone("mobilenet_v3_small"), tmp_path / "model.keras")


def test_missing_and_extra_layers_are_named(tmp_path: Path) -> None:
    layers = list_layers(get_source())
    path = write_legacy(tmp_path / "w.h5", [each for each in layers if each[0] != "conv_pw_5"])
    with pytest.raises(PresetError, match="it has no conv_pw_5"):
        load(path)
    extra = ("conv_pw_14", [("conv_pw_14/kernel", np.zeros((3, 3, 256, 8), "float32"))])
    with pytest.raises(PresetError, match="the layer conv_pw_14"):
        load(write_legacy(tmp_path / "x.h5", [*layers, extra]))


def test_nothing_is_assigned_where_one_shape_differs(tmp_path: Path) -> None:
    layers = list_layers(get_source())
    layers[-2] = (layers[-2][0], [(key, np.zeros(3, "float32")) for key, _ in layers[-2][1]])
    path = write_legacy(tmp_path / "w.h5", layers)
    backbone = get_target()
    before = backbone.get_weights()
    with pytest.raises(PresetError):
        load_backbone_weights(backbone, path)
    for variable, value in zip(backbone.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    source = get_source()
    layer = source.get_layer("conv_pw_3")
    layer.kernel.assign(np.full(layer.kernel.shape, np.nan, "float32"))
    path = write_legacy(tmp_path / "w.h5", list_layers(source))
    with pytest.raises(PresetError, match="conv_pw_3 holds numbers that are not finite"):
        load(path)
    source.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(PresetError, match="conv_pw_3/kernel holds numbers that are not finite"):
        load(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("kind", ["soft", "external", "virtual"])
def test_links_out_of_the_file_are_refused(tmp_path: Path, kind: str) -> None:
    path = write_legacy(tmp_path / "w.h5", list_layers(get_source()))
    secret = write_legacy(tmp_path / "secret.h5", list_layers(get_target()))
    name = "conv1/conv1/kernel:0"
    with h5py.File(path, "r+") as file:
        shape = file[name].shape
        del file[name]
        if kind == "soft":
            file[name] = h5py.SoftLink("/conv_pw_1/conv_pw_1/kernel:0")
        elif kind == "external":
            file[name] = h5py.ExternalLink(str(secret), f"/{name}")
        else:
            layout = h5py.VirtualLayout(shape=shape, dtype="float32")
            layout[...] = h5py.VirtualSource(str(secret), name, shape=shape)
            file.create_virtual_dataset(name, layout)
    with pytest.raises(PresetError, match=r"which is not followed|lie in another file"):
        load(path)


def test_a_dataset_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "w.h5", list_layers(get_source()))
    with h5py.File(path, "r+") as file:
        file.create_dataset("bomb", shape=(1 << 40,), dtype="float32", chunks=(1 << 20,), compression="gzip")
    with pytest.raises(PresetError, match="bomb claims"):
        load(path)


def test_groups_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "w.h5", list_layers(get_source()))
    with h5py.File(path, "r+") as file:
        file["conv1/again"] = file["conv1"]
    with pytest.raises(PresetError, match=r"too deep|more than"):
        load(path)


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_pickles_and_cut_files_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.h5").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(PresetError, match="begins as PyTorch's files do"):
        load(tmp_path / "w.h5")
    assert not (tmp_path / "touched").exists()
    whole = write_legacy(tmp_path / "whole.h5", list_layers(get_source())).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PresetError, match="cannot be loaded"):
        load(tmp_path / "cut.h5")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(PresetError, match=r"an archive without model\.weights\.h5"):
        load(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(80 << 20))
    with pytest.raises(PresetError, match="the net's may have"):
        load(tmp_path / "m.keras")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="there is no such file"):
        load(tmp_path / "w.h5")
    with pytest.raises(PresetError, match=r"holds none of model\.keras"):
        load(tmp_path)


def test_the_config_of_a_saved_model_is_not_looked_at(tmp_path: Path) -> None:
    classifier = build_image_classifier(get_source(), 5, seed=0)
    classifier.save(tmp_path / "model.keras")
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as source,
        zipfile.ZipFile(tmp_path / "changed.keras", "w") as target,
    ):
        target.writestr("config.json", '{"class_name": "__lambda__"}')
        target.writestr("model.weights.h5", source.read("model.weights.h5"))
    check_equal(load(tmp_path / "changed.keras"), get_source())
