"""The weights that Keras publishes for its image nets: their files' names, Keras' cache, and fetching them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError, storage_error
from kerasft.models.image.imagenet_packages import find_packaged_weights
from kerasft.models.image_nets import ImageArchitecture
from kerasft.network import find_why_unreachable

_ROOT = "https://storage.googleapis.com"
_KERAS = f"{_ROOT}/tensorflow/keras-applications"
_REACH_SECONDS = 0.8
_KERNELS = "_weights_tf_dim_ordering_tf_kernels"


@dataclass(frozen=True)
class ImageNetFile:
    """A published file of ImageNet weights, without the head.

    Attributes:
        url: where it is.
        name: its name in Keras' cache.
        hash: MD5 or SHA-256 in hexadecimal digits; None where Keras knows none.
    """

    url: str
    name: str
    hash: str | None = None

    @property
    def path(self) -> Path:
        """Where Keras keeps it."""
        return find_keras_cache() / self.name


_EFFICIENTNET_HASHES = {
    "b0": "50bc09e76180e00e4465e1a485ddc09d",
    "b1": "74c4e6b3e1f6a1eea24c589628592432",
    "b2": "111f8e2ac8aa800a7a99e3239f7bfb39",
    "b3": "af6d107764bb5b1abb91932881670226",
    "b4": "ebc24e6d6c33eaebbd558eafbeedf1ba",
    "b5": "38879255a25d3c92d5e44e04ae6cec6f",
    "b6": "9ecce42647a20130c1f39a5d4cb75743",
    "b7": "cbcfe4450ddf6f3ad90b1b398090fe4a",
}
_EFFICIENTNET_V2_HASHES = {
    "b0": "893217f2bb855e2983157299931e43ff",
    "b1": "0e80663031ca32d657f9caa404b6ec37",
    "b2": "1dfe2e7a5d45b6632553a8961ea609eb",
    "b3": "f6abf7b5849ac99a89b50dd3fd532856",
    "s": "af0682fb74e8c54910f2d4393339c070",
    "m": "1b8dc055df72dde80d614482840fe342",
    "l": "b0b66b5c863aef5b46e8608fe1711615",
}
_MOBILENET_V3_HASHES = {
    "large_224_0.75_float": "40af19a13ebea4e2ee0c676887f69a2e",
    "large_224_1.0_float": "07fb09a5933dd0c8eaafa16978110389",
    "large_minimalistic_224_1.0_float": "ec5221f64a2f6d1ef965a614bdae7973",
    "small_224_0.75_float": "ebdb5cc8e0b497cd13a7c275d475c819",
    "small_224_1.0_float": "d3e8ec802a04aa4fc771ee12a9a9b836",
    "small_minimalistic_224_1.0_float": "cde8136e733e811080d9fcd8a252f7e4",
}
_HASHES = {
    "convnext_tiny": "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    "convnext_small": "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    "convnext_base": "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    "convnext_large": "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    "convnext_xlarge": "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    "resnet50": "4d473c1dd8becc155b73f8504c6f6626",
    "resnet101": "88cf7a10940856eca736dc7b7e228a21",
    "resnet152": "ee4c566cf9a93f14d82f913c2dc6dd0c",
    "resnet50_v2": "fac2f116257151a9d068a22e544a4917",
    "resnet101_v2": "c0ed64b8031c3730f411d2eb4eea35b5",
    "resnet152_v2": "ed17cf2e0169df9d443503ef94b23b33",
    "densenet121": "30ee3e1110167f948a6b9946edeeb738",
    "densenet169": "b8c4d4c20dd625c148057b9ff1c1176b",
    "densenet201": "c13680b51ded0fb44dff2d8f86ac8bb1",
    "xception": "b0042744bf5b25fce3cb969f33bebb97",
    "nasnet_mobile": "1ed92395b5b598bdda52abe5c0dbfd63",
    "nasnet_large": "d81d89dc07e6e56530c4e77faddd61b5",
}
_MOBILENET_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_MOBILENET_V2_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_MOBILENET_SIZES = (128, 160, 192, 224)


def find_keras_cache() -> Path:
    """The folder in which Keras keeps weights that it fetched (`KERAS_HOME` moves it)."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def name_imagenet_file(
    architecture: ImageArchitecture, arguments: Mapping[str, Any], size_px: int | None
) -> ImageNetFile:
    """The published file that fits a net with these arguments.

    Args:
        architecture: the net, one of keras.applications.
        arguments: of its builder.
        size_px: of its images; MobileNets were trained at several sizes, and the one at 224 serves for others.

    Raises:
        PresetError: none was published.
    """
    name = architecture.name
    if name in ("mobilenet", "mobilenet_v2"):
        return _name_mobilenet_file(name, arguments, size_px)
    if name.startswith("mobilenet_v3"):
        return _name_mobilenet_v3_file(name, arguments)
    digest = _HASHES.get(name)
    if name.startswith("efficientnet_v2"):
        size = name.rsplit("_", 1)[1]
        file = f"efficientnetv2-{size}_notop.h5"
        return ImageNetFile(f"{_KERAS}/efficientnet_v2/{file}", file, _EFFICIENTNET_V2_HASHES[size])
    if name.startswith("efficientnet"):
        size = name.rsplit("_", 1)[1]
        file = f"efficientnet{size}_notop.h5"
        return ImageNetFile(f"{_ROOT}/keras-applications/{file}", file, _EFFICIENTNET_HASHES[size])
    if name.startswith("convnext"):
        return ImageNetFile(f"{_KERAS}/convnext/{name}_notop.h5", f"{name}_notop.h5", digest)
    if name.startswith("nasnet"):
        remote = f"NASNet-{name.rsplit('_', 1)[1]}-no-top.h5"
        return ImageNetFile(f"{_KERAS}/nasnet/{remote}", f"{name}_no_top.h5", digest)
    folder = next(each for each in ("resnet", "densenet", "xception") if name.startswith(each))
    file = f"{name.replace('_', '')}{_KERNELS}_notop.h5"
    return ImageNetFile(f"{_KERAS}/{folder}/{file}", file, digest)


def _name_mobilenet_file(name: str, arguments: Mapping[str, Any], size_px: int | None) -> ImageNetFile:
    alpha = arguments.get("alpha", 1.0)
    if name == "mobilenet":
        rows = size_px if size_px in _MOBILENET_SIZES else 224
        if arguments.get("depth_multiplier", 1) != 1:
            raise _refuse(name, "a depth_multiplier of 1", f"{arguments['depth_multiplier']}")
        if alpha not in _MOBILENET_ALPHAS:
            raise _refuse(name, f"alpha {', '.join(map(str, _MOBILENET_ALPHAS))}", str(alpha))
        file = f"mobilenet_{_MOBILENET_ALPHAS[alpha]}_{rows}_tf_no_top.h5"
        return ImageNetFile(f"{_KERAS}/mobilenet/{file}", file)
    rows = size_px if size_px in (96, *_MOBILENET_SIZES) else 224
    if alpha not in _MOBILENET_V2_ALPHAS:
        raise _refuse(name, f"alpha {', '.join(map(str, _MOBILENET_V2_ALPHAS))}", str(alpha))
    file = f"mobilenet_v2{_KERNELS}_{float(alpha)}_{rows}_no_top.h5"
    return ImageNetFile(f"{_KERAS}/mobilenet_v2/{file}", file)


def _name_mobilenet_v3_file(name: str, arguments: Mapping[str, Any]) -> ImageNetFile:
    minimalistic = "_minimalistic" if arguments.get("minimalistic") else ""
    alpha = float(arguments.get("alpha", 1.0))
    key = f"{name.rsplit('_', 1)[1]}{minimalistic}_224_{alpha}_float"
    if key not in _MOBILENET_V3_HASHES:
        wanted = "alpha 1.0 where it is minimalistic" if minimalistic else "alpha 0.75, 1.0"
        raise _refuse(name, wanted, str(alpha))
    file = f"weights_mobilenet_v3_{key}_no_top_v2.h5"
    return ImageNetFile(f"{_KERAS}/mobilenet_v3/{file}", file, _MOBILENET_V3_HASHES[key])


def _refuse(name: str, wanted: str, given: str) -> PresetError:
    return PresetError(
        f"ImageNet weights of {name} were published for {wanted}, not {given}.",
        where="model.weights",
        fix="Name one of those under model.arguments, or set model.weights to none or to a file of your own.",
    )


def fetch_imagenet_weights(
    architecture: ImageArchitecture,
    arguments: Mapping[str, Any],
    size_px: int | None,
    *,
    network_seconds: float = _REACH_SECONDS,
) -> Path:
    """The published weights' file, fetched into Keras' cache where it is not there yet, or inside a Python package.

    Args:
        architecture: the net.
        arguments: of its builder.
        size_px: of its images.
        network_seconds: how long to wait for a sign of the network before giving up.

    Raises:
        PresetError: none was published; or it is damaged, or not there and cannot be fetched, or its package is not
            installed.
    """
    if not architecture.family.of_keras:
        return find_packaged_weights(architecture.name)
    file = name_imagenet_file(architecture, arguments, size_px)
    if not file.path.is_file():
        why = find_why_unreachable(file.url, network_seconds)
        if why is not None:
            raise _build_offline_error(architecture, file, why)
        _download(file)
    if file.hash is not None and _compute_hash(file.path, file.hash) != file.hash:
        raise PresetError(
            f"is not the published file: its hash is not {file.hash}.",
            where=str(file.path),
            fix=f"Remove it, and fetch {file.url} again.",
        )
    return file.path


def _build_offline_error(architecture: ImageArchitecture, file: ImageNetFile, why: str) -> PresetError:
    return PresetError(
        f"ImageNet's weights of {architecture.name} are not in Keras' cache, and cannot be fetched: {why}.",
        where=f"preset {architecture.name!r}",
        fix=(
            f"On a machine with a network: curl -O {file.url}\n"
            f"  Carry the file to this machine as {file.path}\n"
            "  or set model.weights to wherever it is. `model.weights: none` starts from random weights."
        ),
    )


def _download(file: ImageNetFile) -> None:
    import keras

    try:
        # Keras draws a bar on standard output, which may be a pipe that carries predictions
        with contextlib.redirect_stdout(io.StringIO()):
            keras.utils.get_file(
                file.name, file.url, cache_dir=str(file.path.parent.parent), cache_subdir="models"
            )
    except Exception as error:
        storage = storage_error(error, file.path)
        if storage is not None:
            raise storage from error
        raise PresetError(
            f"cannot be fetched: {str(error)[:500]}",
            where=file.url,
            fix=f"Try again, or fetch it by other means and put it at {file.path}",
        ) from error
    if not file.path.is_file():
        # where the cache cannot be written, Keras puts the file elsewhere and says nothing
        raise PresetError(
            "cannot be written.",
            where=str(file.path),
            fix="Set KERAS_HOME to a folder with write access.",
        )


def _compute_hash(path: Path, like: str) -> str:
    digest = hashlib.md5(usedforsecurity=False) if len(like) == 32 else hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
