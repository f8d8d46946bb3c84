"""Error messages for failed downloads: no such model, no access, disk full, connection lost."""

from __future__ import annotations

import errno
from typing import Protocol

from kerasft.errors import PresetError

_LOGIN = {
    "Kaggle": "`kagglehub.login()` in Python, or KAGGLE_API_TOKEN",
    "Hugging Face": "`hf auth login`, or HF_TOKEN",
    "ModelScope": "`modelscope login --token TOKEN`",
}


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the error, or one that it came of, says that no space is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


class DownloadedPreset(Protocol):
    """What the messages need to know of a preset on a hub."""

    @property
    def hub(self) -> str:
        """The hub's name."""

    @property
    def page(self) -> str:
        """Its page on the hub."""

    @property
    def cache_hint(self) -> str:
        """Where the cache is, and what moves it."""


def explain_download_error(
    error: Exception, preset: DownloadedPreset, name: str, *, status: int | None = None
) -> PresetError:
    """What a failed download means to the user.

    Args:
        error: what the hub's library raised.
        preset: what was to be downloaded.
        name: as the user wrote it.
        status: the HTTP status that the hub answered with; taken from the error by default.
    """
    status = status or _get_status(error)
    where = f"preset {name!r}"
    if is_disk_full(error):
        return PresetError(
            "the disk is full: the download is not complete.",
            where=where,
            fix=f"Free some space, or move the cache to another disk. The cache is {preset.cache_hint}.",
        )
    if status == 404:
        return PresetError(
            f"{preset.hub} has no such model (or version, or it is private).",
            where=where,
            fix=f"Check the spelling at {preset.page}",
        )
    if status in (401, 403):
        return PresetError(
            f"{preset.hub} denies access to this account: the name is wrong, the model is private, or its terms "
            "must be accepted first.",
            where=where,
            fix=f"Check the name and accept the terms at {preset.page}, then log in here: {_LOGIN[preset.hub]}",
        )
    if status is not None:
        return PresetError(
            f"{preset.hub} answered with status {status}: {error}", where=where, fix="Try again later."
        )
    return PresetError(
        f"the download from {preset.hub} broke off ({type(error).__name__}: {error}).",
        where=where,
        fix="Run the command again: the hub's library keeps what has arrived and continues from there.",
    )


def _get_status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
