"""generate: writes texts that go on from prompts, or answer conversations, in order, with the saved Keras model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from kerasft.errors import ConfigError, DataError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.tasks.config import TaskConfig
from kerasft.text.generation.config import GenerationConfig

if TYPE_CHECKING:
    from kerasft.text.generation.prompts import Prompt
    from kerasft.text.generation.writer import TextStream, Written

KEYS = ("continuation", "tokens", "ended", "left_out", "note", "error")
"""The keys that an answer may have besides its prompt."""
_LEFT_OUT = {
    "prompt": "the prompt is longer than the model's context: its beginning was left out",
    "messages": "the conversation is longer than the model's context: what follows its system message was left out",
}


def check_writes(task: TaskConfig) -> GenerationConfig:
    """How a task's models write where nothing else is asked for.

    Raises:
        ConfigError: they write nothing.
    """
    if task.writing is None:
        raise ConfigError(
            f"a model of the task {task.type} writes no texts",
            where="generate",
            fix="Use kerasft predict, with the same run folder.",
        )
    return task.writing


def check_answers(task: TaskConfig) -> None:
    """Refuses a task whose models cannot be given conversations.

    Raises:
        ConfigError: it is one.
    """
    if not task.answers_conversations:
        raise ConfigError(
            "the model has not learned from conversations, and takes no messages",
            where="generate",
            fix="Give it texts; or train a model on conversations, with task.input: chat.",
        )


class Writer:
    """A run's trained model, loaded once, as it writes.

    Args:
        run: the run folder.
        config: what is asked for; None: as it was trained.

    Raises:
        ConfigError: nothing was trained there, or otherwise than the config says; or its models write nothing.
    """

    def __init__(self, run: RunFolder, config: ExperimentConfig | None = None):
        run.read_task()  # whether anything was trained is known before TensorFlow is loaded
        from kerasft.training.trained import load_trained

        trained = load_trained(run, config)
        check_writes(trained.task.config)
        generator = trained.task.open_generator(trained.model)
        from kerasft.text.generation.writer import TextWriter

        self._writer = TextWriter(generator)

    @property
    def defaults(self) -> GenerationConfig:
        """The options where none are given."""
        return self._writer.defaults

    def warm_up(self, *, streams: bool = False) -> None:
        """Prepares the model's functions, so that the first text does not wait for them.

        Args:
            streams: those of `stream`, not those of `write`.
        """
        self._writer.warm_up(streams=streams)

    def write(
        self,
        rows: Iterable[Mapping[str, Any]],
        options: GenerationConfig | None = None,
        *,
        batch_size: int = 8,
    ) -> Iterator[dict[str, Any]]:
        """Answers as they are ready: each row with `continuation`, `tokens` and `ended`.

        Args:
            rows: each with a text under `prompt`, or with a conversation under `messages`, the last of which the model
                answers: `[{"role": "user", "content": …}]`.
            options: how to write; None: as `defaults` says.
            batch_size: prompts that are written on at once; no text depends on it.

        A row that cannot be used has an `error` instead; one whose beginning was left out has a `note`, and `left_out`
        says how many tokens that were.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}", where="generate", fix="Give 1 or more.")
        rows, first_row = iter(rows), 0
        while chunk := list(islice(rows, batch_size)):
            problems = [find_problem(row) for row in chunk]
            prompts = [
                "" if problem else find_prompt(row) for problem, row in zip(problems, chunk, strict=True)
            ]
            texts = self._writer.write(prompts, options, first_row=first_row)
            for row, problem, written in zip(chunk, problems, texts, strict=True):
                yield {**row, **({"error": problem} if problem else _answer(row, written))}
            first_row += len(chunk)

    def stream(
        self, row: Mapping[str, Any], options: GenerationConfig | None = None, *, number: int = 0
    ) -> TextStream:
        """The text that `write` gives for a row, piece by piece.

        Args:
            row: of `write`.
            options: how to write; None: as `defaults` says.
            number: which row of all it is, from 0.

        Raises:
            DataError: the prompt cannot be used.
        """
        if problem := find_problem(row):
            raise DataError(problem)
        return self._writer.stream(find_prompt(row), options, row=number)


def _answer(row: Mapping[str, Any], written: Written) -> dict[str, Any]:
    if written.status:
        return {"error": written.status}
    answer = {"continuation": written.continuation, "tokens": written.tokens, "ended": written.ended}
    return {**answer, **tell_left_out(row, written.left_out)}


def is_conversation(value: Any) -> bool:
    """Whether a value is one conversation: messages, and not texts or conversations."""
    return (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Mapping) for each in value)
    )


def make_row(prompt: Any) -> dict[str, Any]:
    """A row of `Writer.write` from a text or a conversation."""
    return {"messages" if isinstance(prompt, list | tuple) else "prompt": prompt}


def find_prompt(row: Mapping[str, Any]) -> Prompt:
    """A row's text, or its conversation."""
    prompt: Prompt = row["messages"] if "messages" in row else row["prompt"]
    return prompt


def find_problem(row: Mapping[str, Any]) -> str:
    """Why a row holds no prompt; empty where it does. What a conversation must be is known where it is read."""
    if "messages" in row or isinstance(row["prompt"], str):
        return ""
    return f"the prompt is no text but {row['prompt']!r:.60}"


def tell_left_out(row: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """What an answer says of so many tokens of its prompt that were left out; nothing where none were."""
    return (
        {"left_out": tokens, "note": _LEFT_OUT["messages" if "messages" in row else "prompt"]}
        if tokens
        else {}
    )
