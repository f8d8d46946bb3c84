"""Weights from files into a backbone that was built here: nothing in a file is made or run.

Supported are legacy `.h5` (Keras' published weights, with or without their head; whole saved models, of which only the
weights are looked at), `.weights.h5`, `.keras`, the folder of an earlier run, and PyTorch's state dicts of
EfficientNet-Lite.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.models.hubs.packages import PACKAGE, find_package_file
from kerasft.models.image.state_dicts import load_state_dict
from kerasft.models.weights.files import check_finite, check_h5_file, naming_damage
from kerasft.models.weights.legacy import is_legacy, load_legacy_weights
from kerasft.models.weights.torch_files import is_torch_file

_WEIGHTS = "model.weights.h5"
_IN_FOLDER = ("model.keras", "preset/model.weights.h5", _WEIGHTS)
_MAX_OVERHEAD_BYTES = 64 << 20
"""Of HDF5 and of a head, beside the weights, which are counted twice."""
FORMS = (
    "kerasft reads Keras' published .h5 files, .weights.h5 and .keras files, and the folder of an earlier run; of "
    "PyTorch's files it reads state dicts of EfficientNet-Lite, as numbers: it never runs what a pickle says."
)


def load_backbone_weights(backbone: Any, path: Path) -> None:
    """Fills a backbone with the weights of a file; a head that the file holds besides is left out.

    Args:
        backbone: of `build_image_backbone`, of the same net and arguments as the file's.
        path: a `.h5`, `.weights.h5` or `.keras` file, a PyTorch state dict (of EfficientNet-Lite), or the folder of an
            earlier run or its `preset/`; or one of those files in a package (`package:module/path`).

    Raises:
        PresetError: there is no such file, it is damaged or unsafe, its weights are others than the net's, or they
            are not finite.
    """
    file = find_weight_file(path)
    with naming_damage(
        file, "weights", f"They must belong to exactly the net and arguments that `model` names. {FORMS}"
    ):
        if is_torch_file(file):
            load_state_dict(backbone, file)
        elif zipfile.is_zipfile(file):
            _load_archive(backbone, file)
        else:
            _load_h5(backbone, file)
    check_finite(backbone, file)


def find_weight_file(path: Path) -> Path:
    """The file that a path means: itself, or the one in the folder of an earlier run, or in an installed package.

    Raises:
        PresetError: there is none.
    """
    if str(path).startswith(PACKAGE):
        return find_package_file(str(path))
    if path.is_dir():
        found = next((path / name for name in _IN_FOLDER if (path / name).is_file()), None)
        if found is None:
            raise PresetError(f"holds none of {', '.join(_IN_FOLDER)}.", where=str(path), fix=FORMS)
        return found
    if not path.is_file():
        raise PresetError("there is no such file.", where=f"model.weights {path}", fix=FORMS)
    return path


def _load_archive(backbone: Any, path: Path) -> None:
    """The weights inside a `.keras` file, whose config is not looked at."""
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder, zipfile.ZipFile(path) as archive:
        try:
            member = archive.getinfo(_WEIGHTS)
        except KeyError:
            raise ValueError(f"it is an archive without {_WEIGHTS}, so it is not a Keras model") from None
        limit = 8 * backbone.count_params() + _MAX_OVERHEAD_BYTES
        if member.file_size > limit:
            raise ValueError(
                f"its {_WEIGHTS} has {member.file_size:,} bytes, and the net's may have {limit:,}"
            )
        weights = Path(folder) / _WEIGHTS
        with archive.open(member) as source, open(weights, "wb") as target:
            shutil.copyfileobj(source, target)
        _load_h5(backbone, weights)


def _load_h5(backbone: Any, path: Path) -> None:
    import h5py

    if not h5py.is_hdf5(path):
        raise ValueError("it is neither HDF5 nor a Keras archive")
    check_h5_file(path)
    with h5py.File(path, "r") as file:
        if is_legacy(file):
            load_legacy_weights(backbone, file)
        else:
            _load_from_group(backbone, _find_backbone_group(backbone, file))


def _find_backbone_group(backbone: Any, file: Any) -> Any:
    """The part of a `.weights.h5` that is the backbone: all of it, or the nested model inside a classifier."""
    layers = file.get("layers", {})
    inside = [layers[name] for name in layers if name.startswith("functional")]
    counts = {group.name: len(_read_shapes(group)) for group in [file, *inside]}
    # Keras writes no states of dropout's generators, which EfficientNet has
    wanted = sum("seed_generator" not in variable.path for variable in backbone.variables)
    for name, count in counts.items():
        if count == wanted:
            return file[name]
    found = " and ".join(f"{count:,}" for count in counts.values())
    raise ValueError(f"it holds {found} variables, and the net has {wanted:,}: it belongs to another net")


def _read_shapes(group: Any) -> dict[str, tuple[int, ...]]:
    """The variables in a part of a `.weights.h5`: their paths and shapes."""
    import h5py

    shapes = {}

    def visit(name: str, item: Any) -> None:
        parts = name.split("/")
        if isinstance(item, h5py.Dataset) and "vars" in parts[-2:-1] and parts[0] != "optimizer":
            shapes[name] = tuple(item.shape)

    group.visititems(visit)
    return shapes


def _load_from_group(backbone: Any, group: Any) -> None:
    """Keras itself reads it, once it is known that paths and shapes are those that it would write for this net.

    Left to itself, Keras passes over a part that is missing, and assigns as it goes.
    """
    import h5py

    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        own, copy = Path(folder) / "own.weights.h5", Path(folder) / _WEIGHTS
        backbone.save_weights(own)
        with h5py.File(own, "r") as file:
            _compare_shapes(file, _read_shapes(group))
        own.unlink()
        with h5py.File(copy, "w") as target:
            for name in group:
                group.copy(name, target)
        backbone.load_weights(copy)


def _compare_shapes(own: Any, found: dict[str, tuple[int, ...]]) -> None:
    wanted = _read_shapes(own)
    for path, shape in wanted.items():
        layer = own[path].parent.attrs.get("name", path)
        if path not in found:
            raise ValueError(f"it holds nothing for the net's layer {layer} (at {path})")
        if found[path] != shape:
            raise ValueError(
                f"its {path} has the shape {list(found[path])}, and the net's layer {layer} {list(shape)}"
            )
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise ValueError(f"it holds {extra[0]}, which the net does not have")
