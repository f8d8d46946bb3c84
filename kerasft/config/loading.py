"""Loads a config from a file and `KEY=VALUE` arguments, and writes it to a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from kerasft import files
from kerasft.config.document import read_document
from kerasft.config.overrides import apply_overrides
from kerasft.config.paths import resolve_paths
from kerasft.config.problems import InvalidConfig, Problem
from kerasft.config.validation import validate
from kerasft.damage import check_file
from kerasft.errors import ConfigError
from kerasft.foreign import check_own_files, is_run_folder

C = TypeVar("C", bound=pydantic.BaseModel)

CONFIG_NAME = "config.yaml"
CHANGED = (
    "If you changed it yourself: move it elsewhere and name it there, or use KEY=VALUE. If not: bring back a copy of "
    "it; or remove it, and give the command with the config that the run came of, and --output with this folder."
)
"""What to do about a run folder's config that is not as it was written."""

__all__ = [
    "CONFIG_NAME",
    "InvalidConfig",
    "LoadedConfig",
    "Problem",
    "dump_config",
    "format_config",
    "load_config",
    "resolve_paths",
]


@dataclass(frozen=True)
class LoadedConfig(Generic[C]):
    """A config and where it came from.

    Args:
        config: complete, with absolute paths.
        path: the file it was read from.
        run_folder: the run folder that the file is the config of; None where a config file was named.
    """

    config: C
    path: Path
    run_folder: Path | None = None


def load_config(schema: type[C], path: str | Path, overrides: Sequence[str] = ()) -> LoadedConfig[C]:
    """Reads, overrides, checks and completes a config.

    Args:
        schema: the config's class.
        path: a YAML file, or a run folder, which holds its `config.yaml`.
        overrides: `KEY=VALUE` each: a dotted key (`train.optimizer.learning_rate`, `data.train.path[0]`) and its
            new value in YAML; laid over the file in their order. Paths in them are relative to the config file.

    Raises:
        ConfigError: there is no such file, or `overrides` is no list.
        DamagedError: it is a run's, and not as kerasft wrote it.
        InvalidConfig: everything that is wrong with it.

    What a run folder's config names is not imported, unless an override names it as well.
    """
    if isinstance(overrides, str):
        raise ConfigError(
            "overrides are a list of KEY=VALUE", where=overrides, fix=f"overrides=[{overrides!r}]"
        )
    path, shown = Path(path), str(path)
    run_folder = path if path.is_dir() else None
    if run_folder:
        path = run_folder / CONFIG_NAME
        shown = str(path)
        check_own_files(run_folder)
        if not path.is_file():
            raise ConfigError(
                f"The folder contains no {CONFIG_NAME}, so it is not a run folder.",
                where=str(run_folder),
                fix="Name a config file, or the folder of a run.",
            )
    if path.name == CONFIG_NAME and path.is_file():
        check_file(path, CHANGED)
    try:
        document = read_document(path, shown)
    except OSError as error:
        reason = (
            "There is no such config file." if not path.exists() else f"It cannot be read: {error.strerror}."
        )
        raise ConfigError(reason, where=shown, fix=_suggest_file(path)) from None
    document.is_of_run = run_folder is not None or (path.name == CONFIG_NAME and is_run_folder(path.parent))
    if document.data is None and document.problems:
        raise InvalidConfig(document.problems)
    apply_overrides(document, schema, overrides)
    config = validate(schema, document)
    return LoadedConfig(resolve_paths(config, path.absolute().parent), path, run_folder)


def _suggest_file(path: Path) -> str:
    names = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
    if names:
        return f"In {path.parent} there are: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}."
    return "Name the YAML file of an experiment, or the folder of a run."


class _Representer(SafeRepresenter):
    """Puts text with line ends and the like in double quotes: folded, U+0085 would come back as a space."""

    def represent_text(self, text: str) -> ScalarNode:
        style = None if text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Representer.add_representer(str, _Representer.represent_text)


def format_config(config: pydantic.BaseModel) -> str:
    """The complete config as YAML, defaults filled in."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 4096
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    buffer = io.StringIO()
    yaml.dump(config.model_dump(mode="json"), buffer)
    return buffer.getvalue()


def dump_config(config: pydantic.BaseModel, path: str | Path) -> None:
    """Writes the complete config: reading it gives an equal config.

    Paths are written as they stand in `config`: `load_config` has made them absolute.
    """
    files.write_text(path, format_config(config))
