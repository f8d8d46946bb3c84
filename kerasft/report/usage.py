"""The report's part that says how the model is put to use."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from kerasft.report.content import ReportContent, Section


def build_usage_section(content: ReportContent, split: str) -> Section | None:
    """Commands that put the model to use."""
    commands = list(content.usage)
    parity = {}
    if content.export is not None:
        commands += list(_list_export_commands(content))
        parity = {
            name.replace("_", " "): f"{value:.3g}" if isinstance(value, float) else str(value)
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
    if content.of_pictures:
        # through a pipe: as an argument a picture would be too long
        request = (
            """printf '{"instances": [{"b64": "%s"}]}' "$(base64 < photo.jpg | tr -d '\\n')" | curl -d @- """
        )
        caption, instances = "and send it a picture over HTTP", "image=tf.constant([picture])"
        yield caption, request + address
    else:
        request, instances = """'{"instances": ["What a film."]}'""", 'tf.constant(["What a film."])'
        yield "and query it over HTTP", f"curl -d {request} {address}"
    yield (
        "From Python, with TensorFlow alone",
        "import tensorflow as tf\n"
        + ('picture = open("photo.jpg", "rb").read()\n' if content.of_pictures else "")
        + f"model = tf.saved_model.load({content.export.path!r})\n"
        f'model.signatures["serving_default"]({instances})',
    )
