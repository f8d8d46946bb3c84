"""Presets on the hubs (Kaggle, Hugging Face, ModelScope): their names, their caches, their downloads.

The hubs' own libraries do the work, through their public functions; they are imported when a name needs them.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kerasft.errors import PresetError
from kerasft.models.hubs.downloads import explain_download_error
from kerasft.models.hubs.folders import NOTICE_PATTERNS, PRESET_PATTERNS, find_missing, list_preset_files

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_DOWNLOAD_PATTERNS = [*PRESET_PATTERNS, *NOTICE_PATTERNS]


class HubPreset(Protocol):
    """A preset on a hub."""

    @property
    def hub(self) -> str:
        """The hub's name, for messages."""

    @property
    def cache_hint(self) -> str:
        """Where the hub's cache is, and which variable moves it."""

    @property
    def offline_switch(self) -> str | None:
        """The variable that forbids the network, where one is set."""

    @property
    def endpoint(self) -> str:
        """The URL that downloads begin at."""

    @property
    def page(self) -> str:
        """Where the preset's licence is read and accepted."""

    @property
    def link_root(self) -> Path | None:
        """The folder of the cache that links of a cached preset may lead into."""

    def find_cached(self, needs_weights: bool = True) -> Path | None:
        """The preset's folder in the cache, where it is there whole; never touches the network."""

    def is_begun(self) -> bool:
        """Whether something of it is in the cache."""

    def download(self) -> Path:
        """Fetches it into the cache; returns its folder there."""


def parse_hub_preset(name: str) -> HubPreset:
    """Reads `kaggle://…`, `hf://…` or `modelscope://…`.

    Raises:
        PresetError: the part after the scheme has the wrong form, or the hub's library is not installed.
    """
    scheme, _, rest = name.partition("://")
    if scheme == "kaggle":
        return _parse_kaggle(name, rest)
    match = re.fullmatch(rf"({_PART}/{_PART})(?:@([^@\s]+))?", rest)
    if not match or ".." in rest:
        raise PresetError(
            f"is not of the form {scheme}://owner/name, or {scheme}://owner/name@revision.",
            where=f"preset {name!r}",
            fix=f"For example: {scheme}://google-bert/bert-base-uncased",
        )
    if scheme == "hf":
        return HuggingFacePreset(match[1], match[2])
    if importlib.util.find_spec("modelscope") is None:
        raise PresetError(
            "needs the package modelscope, which is not installed.",
            where=f"preset {name!r}",
            fix="pip install modelscope",
        )
    return ModelScopePreset(match[1], match[2])


def _parse_kaggle(name: str, rest: str) -> KagglePreset:
    if not re.fullmatch(rf"{_PART}/{_PART}/keras/{_PART}(/[1-9][0-9]*)?", rest) or ".." in rest:
        raise PresetError(
            "is not of the form kaggle://owner/model/keras/variation, or …/variation/version.",
            where=f"preset {name!r}",
            fix="For example: kaggle://keras/bert/keras/bert_base_en_uncased",
        )
    return KagglePreset(rest)


@contextmanager
def _quiet(logger_name: str) -> Iterator[None]:
    """Keeps a library's notes off standard output, which may be a pipe that carries predictions."""
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class KagglePreset:
    """owner/model/keras/variation, or with /version."""

    handle: str
    hub = "Kaggle"
    offline_switch = None
    link_root = None

    @property
    def _parsed(self) -> Any:
        return importlib.import_module("kagglehub.handle").parse_model_handle(self.handle)

    @property
    def cache_hint(self) -> str:
        return f"{importlib.import_module('kagglehub.config').get_cache_folder()} (KAGGLEHUB_CACHE names another)"

    @property
    def endpoint(self) -> str:
        environment = importlib.import_module("kagglesdk.kaggle_env")
        return str(environment.get_endpoint(environment.get_env()))

    @property
    def page(self) -> str:
        return str(self._parsed.to_url())

    def _list_versions(self) -> list[Any]:
        """The handle with each version that the cache may hold, the newest first."""
        handle = self._parsed
        if handle.is_versioned():
            return [handle]
        cache = importlib.import_module("kagglehub.cache").Cache()
        parent = Path(cache.get_path(handle.with_version(1))).parent
        found = [int(entry.name) for entry in parent.glob("*") if entry.name.isdecimal()]
        return [handle.with_version(version) for version in sorted(found, reverse=True)]

    def find_cached(self, needs_weights: bool = True) -> Path | None:
        cache = importlib.import_module("kagglehub.cache").Cache()
        for handle in self._list_versions():
            whole = cache.load_from_cache(handle)
            if whole:
                return Path(whole)
            # keras-hub fetches file by file, and each file has a marker of its own.
            folder = Path(cache.get_path(handle))
            if folder.is_dir() and not find_missing(folder, needs_weights=needs_weights):
                names = list_preset_files(folder)
                if all(cache.load_from_cache(handle, name) for name in names):
                    return folder
        return None

    def is_begun(self) -> bool:
        cache = importlib.import_module("kagglehub.cache").Cache()
        return any(Path(cache.get_path(handle)).exists() for handle in self._list_versions())

    def download(self) -> Path:
        kagglehub = importlib.import_module("kagglehub")
        try:
            with _quiet("kagglehub"):
                return Path(kagglehub.model_download(self.handle))
        except Exception as error:
            raise explain_download_error(error, self, f"kaggle://{self.handle}") from error


@dataclass(frozen=True)
class HuggingFacePreset:
    """owner/name, at a branch, tag or commit."""

    repository: str
    revision: str | None = None
    hub = "Hugging Face"

    @property
    def _constants(self) -> Any:
        return importlib.import_module("huggingface_hub.constants")

    @property
    def cache_hint(self) -> str:
        return f"{self._constants.HF_HUB_CACHE} (HF_HOME or HF_HUB_CACHE names another)"

    @property
    def offline_switch(self) -> str | None:
        return "HF_HUB_OFFLINE" if self._constants.HF_HUB_OFFLINE else None

    @property
    def endpoint(self) -> str:
        return str(self._constants.ENDPOINT)

    @property
    def page(self) -> str:
        return f"{self.endpoint}/{self.repository}"

    @property
    def link_root(self) -> Path | None:
        return Path(self._constants.HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"

    def _snapshot(self, **settings: Any) -> Path:
        hub = importlib.import_module("huggingface_hub")
        return Path(
            hub.snapshot_download(
                self.repository, revision=self.revision, allow_patterns=_DOWNLOAD_PATTERNS, **settings
            )
        )

    def find_cached(self, needs_weights: bool = True) -> Path | None:
        errors = importlib.import_module("huggingface_hub.errors")
        try:
            folder = self._snapshot(local_files_only=True)
        except errors.LocalEntryNotFoundError:
            return None
        return None if find_missing(folder, needs_weights=needs_weights) else folder

    def is_begun(self) -> bool:
        root = self.link_root
        return root is not None and (root / "blobs").is_dir() and any((root / "blobs").iterdir())

    def download(self) -> Path:
        errors = importlib.import_module("huggingface_hub.errors")
        name = f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")
        try:
            return self._snapshot()
        except errors.GatedRepoError as error:
            raise explain_download_error(error, self, name, status=403) from error
        except errors.RevisionNotFoundError as error:
            raise PresetError(
                f"the model has no revision {self.revision!r}.",
                where=f"preset {name!r}",
                fix=f"Name one of its branches, tags or commits; they are listed at {self.page}",
            ) from error
        except Exception as error:
            raise explain_download_error(error, self, name) from error


@dataclass(frozen=True)
class ModelScopePreset:
    """owner/name, at a branch, tag or commit."""

    repository: str
    revision: str | None = None
    hub = "ModelScope"
    offline_switch = None

    @property
    def link_root(self) -> Path:
        return Path(os.environ.get("MODELSCOPE_CACHE") or Path.home() / ".cache" / "modelscope")

    @property
    def cache_hint(self) -> str:
        return f"{self.link_root} (MODELSCOPE_CACHE names another)"

    @property
    def endpoint(self) -> str:
        return str(importlib.import_module("modelscope.hub.api").HubApi().endpoint)

    @property
    def page(self) -> str:
        return f"{self.endpoint}/models/{self.repository}"

    def _snapshot(self, **settings: Any) -> Path:
        module = importlib.import_module("modelscope.hub.snapshot_download")
        return Path(
            module.snapshot_download(
                self.repository, revision=self.revision, allow_patterns=_DOWNLOAD_PATTERNS, **settings
            )
        )

    def find_cached(self, needs_weights: bool = True) -> Path | None:
        absent: tuple[type[Exception], ...] = (ValueError, OSError)
        if importlib.util.find_spec("modelscope_hub") is not None:
            absent += (importlib.import_module("modelscope_hub.errors").CacheError,)
        try:
            folder = self._snapshot(local_files_only=True)
        except absent:
            return None
        return None if find_missing(folder, needs_weights=needs_weights) else folder

    def is_begun(self) -> bool:
        owner, _, model = self.repository.partition("/")
        return any((self.link_root / "models" / f"{owner}--{model}").glob("snapshots/*/*"))

    def download(self) -> Path:
        name = f"modelscope://{self.repository}" + (f"@{self.revision}" if self.revision else "")
        try:
            return self._snapshot()
        except Exception as error:
            raise explain_download_error(error, self, name) from error
