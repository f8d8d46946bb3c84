"""Finds a preset's local folder by its name, and downloads a preset into a folder."""

from __future__ import annotations

import re
import shutil
from difflib import get_close_matches
from pathlib import Path

from kerasft.damage import find_damage
from kerasft.errors import PresetError, StorageError
from kerasft.files import is_left_out, whole_folder
from kerasft.foreign import list_contents
from kerasft.integrity import HASHES, list_files, read_hashes, write_hashes
from kerasft.models.catalogue import (
    PRESET_SCHEMES,
    PresetRow,
    find_near_names,
    find_other_family,
    list_presets,
    read_keras_hub_presets,
)
from kerasft.models.hubs.downloads import is_disk_full
from kerasft.models.hubs.folders import (
    check_preset_folder,
    compute_preset_bytes,
    compute_preset_fingerprint,
    find_missing,
    list_preset_files,
)
from kerasft.models.hubs.hub_presets import HubPreset, parse_hub_preset
from kerasft.models.hubs.packages import ONE_FILE, find_package_folder, list_licence_files
from kerasft.models.image_nets import find_architecture
from kerasft.models.text.families import name_families
from kerasft.network import find_why_unreachable
from kerasft.progress import Progress

__all__ = [
    "PRESET_SCHEMES",
    "PresetRow",
    "compute_preset_fingerprint",
    "fetch_preset",
    "list_presets",
    "resolve_preset",
]

_HUB_SCHEMES = ("hf", "kaggle", "modelscope")
_RESOLVE_SECONDS = 0.8
_FETCH_SECONDS = 10.0


def resolve_preset(
    name: str,
    base: Path | None = None,
    *,
    needs_weights: bool = True,
    may_be_file: bool = False,
    network_seconds: float = _RESOLVE_SECONDS,
) -> Path:
    """The local folder of a preset, fetched into its hub's cache where it is not there yet.

    What is in a cache is used without touching the network. A keras-hub name always means the hub's preset,
    even where a folder of that name exists: write `./name` for the folder.

    Args:
        name: one of `PRESET_SCHEMES`.
        base: what a relative folder is relative to; the current folder by default.
        needs_weights: False accepts a folder without weights, for a model that starts from random ones.
        may_be_file: whether a GGUF file is accepted too.
        network_seconds: how long to wait for a sign of the network before giving up.

    Returns:
        An absolute path to a folder with config.json, weights and vocabulary; its files were looked at by
        name and length, its weights were not read. Or to a GGUF file, which was not looked at.

    Raises:
        PresetError: unknown, malformed, unreachable, incomplete or unsafe; the message says what to do.
    """
    if not name or name != name.strip() or "\0" in name:
        raise PresetError("is not the name of a preset.", where=f"preset {name!r}", fix=_explain_schemes())
    preset = _find_hub_preset(name)
    if preset is not None:
        return _resolve_on_hub(name, preset, base, needs_weights, network_seconds)
    if name.startswith("package:"):
        folder = find_package_folder(name)
    else:
        folder = _find_local_folder(name, base)
    if folder.is_file():
        if may_be_file:
            return folder
        raise PresetError(
            "is a file: encoders, and `presets fetch`, take a preset's folder.",
            where=f"preset {name!r}",
            fix="A GGUF file holds a decoder: name it in a task that generates text.",
        )
    check_preset_folder(folder, needs_weights=needs_weights, may_link_within=_find_cache_root(folder))
    return folder


def fetch_preset(name: str, to: Path, progress: Progress, *, base: Path | None = None) -> Path:
    """Copies a preset whole into `to`, as real files, so that `model.preset: TO` works on any machine.

    Where `to` already holds this very preset nothing is done; where it holds another preset and nothing
    else, that is replaced.

    Args:
        name: one of `PRESET_SCHEMES`.
        to: the folder to be; new, empty, or holding a preset alone.
        progress: is told the size, and how far the copy is.
        base: what a relative folder in `name` is relative to.

    Returns:
        `to`, absolute.

    Raises:
        PresetError: as `resolve_preset`; or `to` holds other files, or a preset that kerasft did not write; or the disk
            is too small.
    """
    to = Path(to).expanduser().resolve()
    _check_target(to)
    parameters = read_keras_hub_presets().get(name, {"metadata": {}})["metadata"].get("params")
    if parameters:
        progress.note(f"{name}: {parameters:,} parameters, about {parameters * 4 / 1e6:.0f} MB.")
    folder = resolve_preset(name, base, network_seconds=_FETCH_SECONDS)
    if to == folder.resolve() or to.is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(to):
        raise PresetError(
            "is the preset's own folder, or inside it.", where=str(to), fix="Name another folder."
        )
    size = compute_preset_bytes(folder)
    if (
        to.is_dir()
        and not find_missing(to)
        and compute_preset_fingerprint(to) == compute_preset_fingerprint(folder)
    ):
        progress.note(f"{to} already holds {name} ({size / 1e6:.1f} MB).")
        return to
    _check_own(to)
    _copy_preset(name, folder, to, size, progress)
    progress.note(f"{name}: {size / 1e6:.1f} MB in {to}. Use it with model.preset: {to}")
    return to


def _copy_preset(name: str, folder: Path, to: Path, size: int, progress: Progress) -> None:
    parent = next(each for each in to.parents if each.exists())
    free = shutil.disk_usage(parent).free
    if free < size:
        raise PresetError(
            f"needs {size / 1e6:.1f} MB, and {parent} has {free / 1e6:.1f} MB free.",
            where=str(to),
            fix="Free some space, or name a folder on another disk.",
        )
    try:
        with whole_folder(to) as temporary, progress.bar(f"Copying {name}", size, "bytes") as bar:
            for file in list_preset_files(folder, notices=True):
                (temporary / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / file, temporary / file)
                bar.advance((folder / file).stat().st_size)
            if name.startswith("package:"):
                module = name.removeprefix("package:").partition("/")[0]
                for licence in list_licence_files(module):
                    if not (temporary / licence.name).exists():
                        shutil.copyfile(licence, temporary / licence.name)
            write_hashes(temporary)
    except StorageError:
        raise
    except OSError as error:
        what = "the disk is full" if is_disk_full(error) else f"cannot be written: {error.strerror or error}"
        raise PresetError(
            f"{what}; nothing was left behind.",
            where=str(to),
            fix="Name a folder with free space and write access.",
        ) from error


def _check_target(to: Path) -> None:
    if not to.exists():
        return
    if not to.is_dir():
        raise PresetError("is a file.", where=str(to), fix="Name a folder.")
    known = set(list_preset_files(to, notices=True))
    others = [
        path.relative_to(to).as_posix()
        for path in sorted(to.rglob("*"))
        if not path.is_dir()
        and path.relative_to(to).as_posix() not in (*known, HASHES)
        and not any(map(is_left_out, path.relative_to(to).parts))
    ]
    if others or (known and find_missing(to)):
        raise PresetError(
            f"is not empty and contains more than a preset: {', '.join((others or sorted(known))[:5])}.",
            where=str(to),
            fix="Name a new or an empty folder.",
        )


def _check_own(to: Path) -> None:
    """Refuses to replace a preset that kerasft did not write, or that was changed since."""
    if not list_contents(to):
        return
    known = read_hashes(to) or {}
    # a hidden file that kerasft wrote is compared like the rest
    names = [name for name in list_files(to) if name in known or not any(map(is_left_out, name.split("/")))]
    if not set(names) <= set(known) or any(find_damage(to, name, known) for name in names):
        raise PresetError(
            "contains another preset, which kerasft did not write or which was changed since.",
            where=str(to),
            fix="Name a new or an empty folder.",
        )


def _find_hub_preset(name: str) -> HubPreset | None:
    if "://" in name:
        scheme = name.partition("://")[0]
        if scheme in _HUB_SCHEMES:
            return parse_hub_preset(name)
        raise _refuse_scheme(name, scheme)
    if re.match(rf"({'|'.join(_HUB_SCHEMES)}):", name, re.IGNORECASE):
        scheme, _, rest = name.partition(":")
        raise PresetError(
            "lacks the two slashes of its scheme.",
            where=f"preset {name!r}",
            fix=f"Write {scheme.lower()}://{rest.lstrip('/')}",
        )
    presets = read_keras_hub_presets() if re.fullmatch(r"[\w.]+", name) else {}
    return parse_hub_preset(presets[name]["kaggle_handle"]) if name in presets else None


def _refuse_scheme(name: str, scheme: str) -> PresetError:
    rest = name.partition("://")[2]
    if scheme == "package":
        fix = f"Write package:{rest}"
    elif scheme in ("http", "https"):
        owner_and_name = "/".join(rest.split("/")[1:3])
        fix = f"Web addresses are not supported: write hf://{owner_and_name}, for example.\n  {_explain_schemes()}"
    else:
        near = get_close_matches(scheme.lower(), _HUB_SCHEMES, n=1)
        fix = f"Did you mean {near[0]}://{rest}?\n  {_explain_schemes()}" if near else _explain_schemes()
    return PresetError(f"has the unknown scheme {scheme}://.", where=f"preset {name!r}", fix=fix)


def _resolve_on_hub(
    name: str, preset: HubPreset, base: Path | None, needs_weights: bool, network_seconds: float
) -> Path:
    folder = preset.find_cached(needs_weights)
    if folder is None:
        why = f"{preset.offline_switch} is set" if preset.offline_switch else None
        why = why or find_why_unreachable(preset.endpoint, network_seconds)
        if why is not None:
            raise _build_offline_error(name, preset, base, why)
        folder = preset.download()
    check_preset_folder(folder, needs_weights=needs_weights, may_link_within=preset.link_root)
    return folder


def _build_offline_error(name: str, preset: HubPreset, base: Path | None, why: str) -> PresetError:
    state = "is only partly in the cache" if preset.is_begun() else "is not in the cache"
    fix = (
        f"On a machine with a network: kerasft presets fetch {name} --to DIR\n"
        "  Carry DIR to this machine and set: model.preset: DIR\n"
        f"  The cache is {preset.cache_hint}."
    )
    if "://" not in name and ((base or Path.cwd()) / name).is_dir():
        fix += f"\n  There is a folder of that name: to use it, set model.preset: ./{name}"
    return PresetError(
        f"{state}, and cannot be fetched from {preset.hub}: {why}.", where=f"preset {name!r}", fix=fix
    )


def _find_local_folder(name: str, base: Path | None) -> Path:
    try:
        folder = (base or Path.cwd()) / Path(name).expanduser()
        if not folder.exists():
            raise _build_unknown_error(name, folder)
        if folder.is_file() and folder.suffix.lower() == ONE_FILE:
            return folder.resolve()
        if not folder.is_dir():
            raise PresetError("is a file, not a preset's folder.", where=str(folder), fix=_explain_schemes())
        if not (folder / "config.json").exists() and (folder / "preset").is_dir():
            folder = folder / "preset"
        return folder.resolve()
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # too long, no such user, not allowed, links in a circle
        raise PresetError(
            f"cannot be looked up: {error}", where=f"preset {name!r}", fix=_explain_schemes()
        ) from error


def _build_unknown_error(name: str, folder: Path) -> PresetError:
    where = f"preset {name!r}"
    if re.fullmatch(r"[\w.-]+", name):
        family = find_other_family(name)
        if family is not None:
            return PresetError(
                f"is a keras-hub preset of the family {family}; text tasks train {name_families()}.",
                where=where,
                fix="`kerasft presets list` shows them.",
            )
        architecture = find_architecture(name)
        if architecture is not None:
            weights = "are fetched by the first run that asks for them"
            if not architecture.family.of_keras:
                weights = "come in a Python package, which `kerasft presets list` names"
            return PresetError(
                f"is an image net; text tasks train {name_families()}.",
                where=where,
                fix=f"Set task.type to image_classification. The net's ImageNet weights {weights}.",
            )
        near = find_near_names(name)
        hint = f"Did you mean {' or '.join(near)}?\n  " if near else ""
        return PresetError(
            f"is neither a known preset nor a folder: there is no {folder}.",
            where=where,
            fix=f"{hint}`kerasft presets list` shows the known ones.\n  {_explain_schemes()}",
        )
    hint = (
        f"If you mean the model on Hugging Face: hf://{name}\n  "
        if re.fullmatch(r"\w[\w.-]*/[\w.-]+", name)
        else ""
    )
    return PresetError(f"there is no folder {folder}.", where=where, fix=f"{hint}{_explain_schemes()}")


def _find_cache_root(folder: Path) -> Path | None:
    """The repository's folder in Hugging Face's cache, where `folder` is a snapshot in it: its files are links."""
    if folder.parent.name != "snapshots":
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    root = folder.parent.parent
    return root if root.parent == Path(HF_HUB_CACHE).resolve() else None


def _explain_schemes() -> str:
    lines = "\n".join(f"    {line}" for line in PRESET_SCHEMES.splitlines())
    return f"model.preset is one of:\n{lines}"
