"""What a preset's folder is: which files count, what is missing, what is refused, and its fingerprint.

Two forms are read, keras-hub's and Hugging Face's. Weights are safetensors or keras-hub's `*.weights.h5`
(read as weights only); pickled weights are never opened.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from kerasft.damage import check_folder
from kerasft.errors import PresetError
from kerasft.files import compute_sha256
from kerasft.models.weights.files import is_cut_short, read_safetensors_header
from kerasft.untrusted import load_json, naming

WEIGHT_PATTERNS = ("model.safetensors", "model-*.safetensors", "model.weights.h5", "model_*.weights.h5")
VOCABULARY_FILES = (
    "vocab.txt",
    "assets/tokenizer/vocabulary.txt",
    "tokenizer.json",
    "vocab.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/vocabulary.spm",
    "characters.json",
)
PRESET_PATTERNS = (
    *WEIGHT_PATTERNS,
    "config.json",
    "metadata.json",
    "preprocessor.json",
    "model.safetensors.index.json",
    "model.weights.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "characters.json",
    "chat_template.jinja",
    "assets/*",
    "1_Pooling/config.json",
)
"""The files that a model is built from, as `fnmatch` patterns of paths relative to the folder."""
NOTICE_PATTERNS = ("README.md", "LICENSE*", "LICENCE*", "NOTICE*")
"""Files that should travel with the weights, though nothing is built from them."""

_DAMAGED = (
    "Restore it from a copy, or write it again: kerasft finetune, with the folder of the run it came of."
)
_PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")
_MAX_JSON_BYTES = 32 * 2**20
ACCEPTED = (
    "A preset's folder is in keras-hub's form (config.json, model.weights.h5, assets/tokenizer/…), in Hugging Face's "
    "(config.json, model.safetensors, vocab.txt), or a run's folder that holds preset/."
)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch.fnmatchcase(name, pattern) and ("/" in name) == ("/" in pattern) for pattern in patterns
    )


def list_preset_files(folder: Path, *, notices: bool = False) -> list[str]:
    """Paths, relative to `folder` with "/" between, of the files that make up the preset; sorted.

    Args:
        folder: the preset's folder.
        notices: also README and licence files.
    """
    patterns = PRESET_PATTERNS + (NOTICE_PATTERNS if notices else ())
    names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    for inner in ("assets", "1_Pooling"):
        for parent, _, files in os.walk(folder / inner):
            names += [(Path(parent) / file).relative_to(folder).as_posix() for file in files]
    return sorted(name for name in names if _matches(name, patterns))


def list_weight_files(folder: Path) -> list[str]:
    """Those of `list_preset_files` that hold weights."""
    return [name for name in list_preset_files(folder) if _matches(name, WEIGHT_PATTERNS)]


def compute_preset_fingerprint(folder: Path) -> str:
    """SHA-256, as 64 hexadecimal digits, over the names and contents of the files that make up the preset.

    README and licence files do not count, nor does what else lies in the folder: a copy has its original's
    fingerprint. Of a preset that is one file it is that of its contents.

    Raises:
        DamagedError: a file is not as kerasft wrote it.
    """
    if folder.is_file():
        return compute_sha256(folder)
    check_folder(folder, _DAMAGED, follow_links=True)
    digest = hashlib.sha256()
    for name in list_preset_files(folder):
        digest.update(f"{name}\0{compute_sha256(folder / name)}\n".encode())
    return digest.hexdigest()


def compute_preset_bytes(folder: Path) -> int:
    """Size of the files that make up the preset, README and licences included."""
    return sum((folder / name).stat().st_size for name in list_preset_files(folder, notices=True))


def read_json(path: Path) -> dict[str, Any]:
    """Reads a preset's JSON object.

    Raises:
        PresetError: it is not one.
    """
    with naming(path, PresetError, "Fetch the preset again."):
        # a hub's cache holds links; where they lead, `check_links` has looked at
        value = load_json(path, Any, max_bytes=_MAX_JSON_BYTES, follow_links=True)
    if not isinstance(value, dict):
        raise PresetError("is not a JSON object.", where=str(path), fix=ACCEPTED)
    return value


def find_missing(folder: Path, *, needs_weights: bool = True) -> list[str]:
    """What a preset in `folder` lacks, in words; empty where nothing is missing.

    Looks at names and at safetensors' headers (a file cut short is missing its end), not at the weights.
    """
    if not (folder / "config.json").is_file():
        return ["config.json"]
    names = list_preset_files(folder)
    missing = []
    if not any(name in names for name in VOCABULARY_FILES):
        missing.append("a vocabulary (vocab.txt, or assets/tokenizer/vocabulary.txt)")
    if needs_weights:
        missing += _find_missing_weights(folder, names)
    return missing


def _find_missing_weights(folder: Path, names: list[str]) -> list[str]:
    weights = list_weight_files(folder)
    expected: set[str] = set()
    for index in ("model.safetensors.index.json", "model.weights.json"):
        if index in names:
            weight_map = read_json(folder / index).get("weight_map", {})
            if isinstance(weight_map, dict):
                for files in weight_map.values():
                    expected.update([files] if isinstance(files, str) else [str(file) for file in files])
    if not weights and not expected:
        return ["weights (model.safetensors, or model.weights.h5)"]
    missing = sorted(expected - set(weights))
    for name in weights:
        path = folder / name
        if name.endswith(".safetensors"):
            damage = _find_safetensors_damage(path)
            missing += [damage] if damage else []
        elif path.stat().st_size == 0:
            missing.append(f"the contents of {name}")
    return missing


def _find_safetensors_damage(path: Path) -> str | None:
    """What a safetensors file lacks, in words."""
    if is_cut_short(path):
        return f"the end of {path.name}"
    try:
        read_safetensors_header(path)
    except ValueError as error:
        return f"a sound header in {path.name} ({error})"
    return None


def check_links(folder: Path, *, may_link_within: Path | None = None) -> None:
    """Refuses a folder that holds a link leading out of it, or anything that is neither file nor folder.

    Args:
        folder: the preset's folder.
        may_link_within: a folder that links may lead into (a hub's cache keeps its files beside the snapshot).

    Raises:
        PresetError: it does.
    """
    roots = [folder.resolve()] + ([may_link_within.resolve()] if may_link_within else [])
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                target = _resolve_link(path)
                if not any(target.is_relative_to(root) for root in roots):
                    raise PresetError(
                        f"is a link to {target}, outside the preset's folder: it is not followed.",
                        where=str(path),
                        fix=f"Put the file itself there: cp --remove-destination {target} {path}",
                    )
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise PresetError("is neither a file nor a folder.", where=str(path), fix="Remove it.")


def _resolve_link(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except FileNotFoundError:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise PresetError(
            "is a link that leads back to itself.", where=str(path), fix="Remove it."
        ) from error


def check_preset_folder(
    folder: Path, *, needs_weights: bool = True, may_link_within: Path | None = None
) -> None:
    """Makes sure that `folder` holds a preset in a known form, whole, and with nothing unsafe in it.

    Raises:
        PresetError: something is missing, cut short, in an unknown form, or leads out of the folder.
    """
    try:
        _check_contents(folder, needs_weights, may_link_within)
    except OSError as error:
        raise PresetError(
            f"cannot be read: {error.strerror or error}.", where=str(error.filename or folder), fix=ACCEPTED
        ) from error


def _check_contents(folder: Path, needs_weights: bool, may_link_within: Path | None) -> None:
    if not (folder / "config.json").exists():
        found = sorted(entry.name for entry in os.scandir(folder))[:8]
        raise PresetError(
            f"has no config.json; it holds {', '.join(found) if found else 'nothing'}.",
            where=str(folder),
            fix=ACCEPTED,
        )
    check_links(folder, may_link_within=may_link_within)
    config = read_json(folder / "config.json")
    if "registered_name" not in config and "model_type" not in config:
        raise PresetError(
            "says neither `registered_name` (keras-hub's form) nor `model_type` (Hugging Face's).",
            where=str(folder / "config.json"),
            fix=ACCEPTED,
        )
    missing = find_missing(folder, needs_weights=needs_weights)
    if missing:
        raise _lacks(folder, missing)


def _lacks(folder: Path, missing: list[str]) -> PresetError:
    pickles = sorted(
        entry.name
        for entry in os.scandir(folder)
        if _matches(entry.name, _PICKLE_PATTERNS) and not _matches(entry.name, WEIGHT_PATTERNS)
    )
    fix = ACCEPTED
    if pickles and any(part.startswith("weights") for part in missing):
        fix = (
            f"{', '.join(pickles)} would have to be unpickled, which can run any code, so kerasft never opens it: "
            f"save the model as safetensors on a machine where you trust it.\n  {ACCEPTED}"
        )
    return PresetError(f"lacks {', and '.join(missing)}.", where=str(folder), fix=fix)
