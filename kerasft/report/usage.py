"""The report's part that says how the model is put to use."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from kerasft.report.content import ReportContent
from kerasft.tasks.display import Section

_PARITY_NAMES = {"labels_equal": "equal answers"}


def build_usage_section(content: ReportContent, split: str) -> Section | None:
    """Commands that put the model to use."""
    commands = list(content.usage)
    parity = {}
    if content.export is not None:
        commands += list(_list_export_commands(content))
        parity = {
            _PARITY_NAMES.get(name, name.replace("_", " ")): f"{value:.3g}"
            if isinstance(value, float)
            else str(value)
            for name, value in content.export.parity.items()
            if isinstance(value, (int, float, str))
        }
    if not commands:
        return None
    data = {"commands": commands, "parity": parity, "export": content.export}
    return Section(heading="Using the model", template="section_usage.html", data=data)


def _list_export_commands(content: ReportContent) -> Iterator[tuple[str, str]]:
    assert content.export is not None
    path = PurePosixPath(content.export.path)
    name = (
        "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in content.title) or "model"
    )
    base = shlex.quote(str(path.parent))
    folder = base if path.is_absolute() else f'"$PWD"/{base}'
    yield (
        "Serve it with TensorFlow Serving",
        f"docker run --rm -p 8501:8501 -v {folder}:/models/{name} -e MODEL_NAME={name} tensorflow/serving",
    )
    address = f"http://localhost:8501/v1/models/{name}:predict"
    yield from content.display.list_requests(address, repr(content.export.path))
