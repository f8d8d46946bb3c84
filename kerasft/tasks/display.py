"""The interface for showing answers: sections of the report, and example commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from kerasft.data.prepared import Split
from kerasft.metrics.measure import Measure

Figures = Mapping[str, Mapping[str, float | int]]
"""Figure's name → `{"value": …, "low": …, "high": …}`, as in metrics.json."""
Tone = Literal["good", "fair", "bad", "plain"]


@dataclass(frozen=True)
class Statement:
    """One sentence or two of the verdict.

    Attributes:
        tone: how a reader should take it.
        text: plain text.
    """

    tone: Tone
    text: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the report.

    Attributes:
        heading: as shown.
        template: name of a Jinja template in `folder`.
        data: the template's variables, by name; `content` and `split` are the page's, and no names for them.
        folder: where the template lies; by default the report's own.
    """

    heading: str
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def __post_init__(self) -> None:
        if taken := {"content", "split"} & set(self.data):
            raise ValueError(f"{', '.join(sorted(taken))}: the page gives these to every template")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of a measured split.

    Attributes:
        name: the split's.
        figures: of the whole split and of single classes.
        records: a line of predictions/<split>.jsonl for each example, in their order; read once.
        split: the examples; None where they are not at hand.
        mistakes: how many are shown.
    """

    name: str
    figures: Figures
    records: Iterable[Mapping[str, Any]] = ()
    split: Split | None = None
    mistakes: int = 20


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a report says of a split, besides its figures.

    Attributes:
        headline: one sentence; may be empty.
        statements: the verdict.
        sections: parts of the page, in their order.
    """

    headline: str = ""
    statements: Sequence[Statement] = ()
    sections: Sequence[Section] = ()


class Display:
    """How answers are shown; by default as little as any task can do with: its figures alone.

    Args:
        config: the `task` section.
        label_names: the classes, where there are any.
    """

    noun: ClassVar[str] = "example"
    """What messages call an example."""
    has_lengths: ClassVar[bool] = True
    """Whether examples differ in length, so that batches contain padding."""
    record_schema: ClassVar[Any] = dict[str, Any]
    """A pydantic type for the lines of predictions/<split>.jsonl."""
    can_draw: ClassVar[bool] = False
    """Whether answers can be drawn on copies of their pictures."""
    can_mark: ClassVar[bool] = False
    """Whether answers can be highlighted in their texts."""
    marked_title: ClassVar[str] = "Answers"
    """Title of a page of highlighted texts."""

    def __init__(self, config: Any, label_names: Sequence[str] = ()):
        self.config, self.label_names = config, tuple(label_names)

    # The report

    def show(self, measured: Measured) -> Shown:
        """What the report says of a split."""
        return Shown()

    # Comparing runs

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> Measure | None:
        """The figures that the records of a split tell; None where they tell none.

        Args:
            records: lines of predictions/<split>.jsonl.
            samples: how many resamples will be measured.
        """
        return None

    def tell_example(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What a record says of its example and not of the model: of the same one the same in all runs.

        Where an example came from is part of that only if its inputs are not told, as of pictures.
        """
        said = {"predicted", "probabilities"}
        if any(field.name in record for field in self.config.inputs):
            said.add("origin")
        return {key: value for key, value in record.items() if key not in said}

    # Answers of `predict`

    def list_columns(self) -> list[str]:
        """The columns of a table of answers, without the inputs."""
        return list(self.config.answer_keys)

    def list_cells(self, answer: Mapping[str, Any]) -> list[Any]:
        """An answer as the cells of these columns; None for an empty cell. Lists and dicts become JSON."""
        return [answer.get(key) for key in self.config.answer_keys]

    def list_rows(self, answer: Mapping[str, Any]) -> list[list[Any]]:
        """An answer as rows of a table, one at least; by default the one of `list_cells`."""
        return [self.list_cells(answer)]

    def draw(self, picture: Any, answer: Mapping[str, Any]) -> Any:
        """A copy of a picture with the answer drawn on or below it; only if `can_draw`.

        Args:
            picture: `PIL.Image.Image`; a large one was reduced, and `kerasft.plots.pictures.get_scale` says how far.
            answer: what was said of it.
        """
        raise NotImplementedError

    def mark(self, answer: Mapping[str, Any], *, in_colour: bool) -> str:
        """An answer's text for a terminal, with entities highlighted; only if `can_mark`."""
        raise NotImplementedError

    def mark_as_html(self, answer: Mapping[str, Any]) -> str:
        """The same as HTML."""
        raise NotImplementedError

    # Commands

    def list_commands(self, run: str) -> list[tuple[str, str]]:
        """(caption, command) pairs that ask the trained model.

        Args:
            run: the run folder.
        """
        return [("Ask it", f"{self.ask(run)} --input examples.jsonl")]

    def ask(self, run: str) -> str:
        """`kerasft predict RUN`; a task of another package must be named, as a run folder imports nothing."""
        is_of_kerasft = self.config is None or type(self.config).__module__.startswith("kerasft.")
        named = "" if is_of_kerasft else f" task.type={self.config.type}"
        return f"kerasft predict {shlex.quote(run)}{named}"

    def list_requests(self, address: str, saved_model: str) -> list[tuple[str, str]]:
        """(caption, command) pairs that ask the exported model, over HTTP and from Python.

        Args:
            address: of TensorFlow Serving's `predict`.
            saved_model: the version's folder, as a Python literal.
        """
        return []


class TextDisplay(Display):
    """Of answers to a text.

    Attributes:
        text: one to ask about.
    """

    text: ClassVar[str] = "What a film."

    def list_commands(self, run: str) -> list[tuple[str, str]]:
        return [("Ask it", f'{self.ask(run)} "{self.text}"')]

    def list_requests(self, address: str, saved_model: str) -> list[tuple[str, str]]:
        python = (
            "import tensorflow as tf\n"
            f"model = tf.saved_model.load({saved_model})\n"
            f'model.signatures["serving_default"](tf.constant(["{self.text}"]))'
        )
        return [
            ("and query it over HTTP", f"""curl -d '{{"instances": ["{self.text}"]}}' {address}"""),
            ("From Python, with TensorFlow alone", python),
        ]


class PictureDisplay(Display):
    """Of answers to a picture."""

    noun = "picture"
    has_lengths = False
    can_draw = True

    def draw(self, picture: Any, answer: Mapping[str, Any]) -> Any:
        from kerasft.plots.sheets import draw_label

        return draw_label(picture, self.caption(answer))

    def caption(self, answer: Mapping[str, Any]) -> str:
        """A line that says what was answered, to stand below a picture; by default all that was."""
        return ", ".join(f"{key}: {answer[key]}" for key in self.config.answer_keys if key in answer)

    def list_commands(self, run: str) -> list[tuple[str, str]]:
        asked = self.ask(run)
        return [
            ("Ask it about a picture", f"{asked} photo.jpg"),
            (
                "about whole folders; the answers go to a file, and as labels onto copies of the pictures",
                f"{asked} photos/ 'more/*.png' --to answers.jsonl --draw labelled/",
            ),
            (
                "From Python",
                f'import kerasft\nkerasft.load_run({run!r}).predict(["photo.jpg", "other.png"])',
            ),
        ]

    def list_requests(self, address: str, saved_model: str) -> list[tuple[str, str]]:
        # through a pipe: as an argument a picture would be too long
        request = (
            """printf '{"instances": [{"b64": "%s"}]}' "$(base64 < photo.jpg | tr -d '\\n')" | curl -d @- """
        )
        python = (
            "import tensorflow as tf\n"
            'picture = open("photo.jpg", "rb").read()\n'
            f"model = tf.saved_model.load({saved_model})\n"
            'model.signatures["serving_default"](image=tf.constant([picture]))'
        )
        return [
            ("and send it a picture over HTTP", request + address),
            ("From Python, with TensorFlow alone", python),
        ]
