"""`kerasft generate`: writes on from prompts and conversations, to a terminal as it writes, or as JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from kerasft.cli.answers import JsonLinesWriter, open_output
from kerasft.cli.asked import Asked
from kerasft.cli.conversations import read_conversations
from kerasft.cli.input_options import (
    EncodingOption,
    HeaderOption,
    make_answer_option,
    make_column_option,
    make_source_option,
)
from kerasft.cli.input_rows import Kinds, Rows, Source
from kerasft.cli.inputs import choose_rows, is_typed
from kerasft.cli.options import ConfigArgument, OutputOption, QuietOption, open_work
from kerasft.cli.progress import format_rate, format_seconds
from kerasft.cli.trained import load_trained_experiment
from kerasft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kerasft.stages.generate import Writer
    from kerasft.tasks.config import TaskConfig
    from kerasft.text.generation.config import GenerationConfig

EPILOG = """\b
Examples:
  kerasft generate runs/shakespeare "ROMEO:"
  kerasft generate runs/shakespeare "ROMEO:" --temperature 0 --max-new-tokens 300
  kerasft generate runs/shakespeare "ROMEO:" --seed 1 --stop $'\\n\\n'
  kerasft generate runs/shakespeare --input prompts.txt --to written.jsonl
  kerasft generate runs/shakespeare --input table.csv --column opening > written.jsonl
  echo "ROMEO:" | kerasft generate runs/shakespeare --quiet
  kerasft generate runs/shop_chat "Are you open on Sundays?"
  kerasft generate runs/shop_chat --messages conversation.json

\b
A line of output, where it does not go to a terminal:
  {"prompt": "ROMEO:", "continuation": " What say you?", "tokens": 14, "ended": "stop string"}

--messages is for models that were trained on conversations (task.input: chat). It takes a JSON list of messages, which
the assistant is to answer, and answers with the same list under `messages`:
  [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."},
   {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Are you open?"}]

A text ends at the model's end token, before a stop string, or after --max-new-tokens (`ended` says which). The model
looks at its last tokens only, as many as its context: of a longer prompt the beginning is left out, with a `note`, and
a text that fills the context goes on from its newer half.

How a token is chosen: --temperature 0 takes the likeliest one. Otherwise one is drawn at random. Scores are divided by
the temperature, so that low ones (0.2) give likely texts, and high ones (1.2) odd texts; --top-k and --top-p then leave
unlikely tokens out. The same --seed gives the same text for a prompt at the same place of the input, whatever else the
input holds and whatever the batch size. Where one of these options is not given, the run's own holds: task.generation
of its config, which is 128 tokens, temperature 0.8, top-p 0.95, seed 0 and nothing else if the config does not say.

As with predict, an argument such as task.type=NAME changes the config, and a prompt that cannot be used has an `error`
in its answer (exit code 10)."""

PromptsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT", help="Prompts, which the model goes on from. Without them, --input is read."
    ),
]
SourceOption = Annotated[str | None, make_source_option("one prompt a line")]
MessagesOption = Annotated[
    str | None,
    typer.Option(
        "--messages",
        metavar="FILE",
        help="A conversation to answer, as a JSON list of messages, or one on each line; - is standard input.",
    ),
]
ColumnsOption = Annotated[list[str] | None, make_column_option("the prompts.", "prompt")]
TokensOption = Annotated[
    int | None, typer.Option("--max-new-tokens", "-n", help="Tokens of a text, at most.")
]
TemperatureOption = Annotated[
    float | None,
    typer.Option("--temperature", "-t", help="0: the likeliest token; below 1: likely ones."),
]
TopKOption = Annotated[
    int | None, typer.Option("--top-k", help="Draws from so many likeliest tokens; 0: from all.")
]
TopPOption = Annotated[
    float | None,
    typer.Option("--top-p", help="Draws from the likeliest tokens that together have this probability."),
]
PenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--repetition-penalty", help="Above 1: tokens that the text has already become less likely."
    ),
]
StopOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", metavar="TEXT", help="Ends a text before this string; may be given several times."
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same texts.")]
StreamOption = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Shows prompt and text as they are, while the text is written, or one JSON object a line.  [default: "
        "--stream on a terminal]",
    ),
]
BatchSizeOption = Annotated[
    int, typer.Option(min=1, help="Prompts that are written on at once, but for --stream.")
]


def generate(
    config: ConfigArgument,
    prompts: PromptsArgument = None,
    source: SourceOption = None,
    messages: MessagesOption = None,
    columns: ColumnsOption = None,
    header: HeaderOption = True,
    max_new_tokens: TokensOption = None,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    repetition_penalty: PenaltyOption = None,
    stop: StopOption = None,
    seed: SeedOption = None,
    to: Annotated[Path | None, make_answer_option("the texts")] = None,
    stream: StreamOption = None,
    encoding: EncodingOption = "utf-8",
    batch_size: BatchSizeOption = 8,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Writes texts that go on from prompts, or answer conversations, with a trained language model."""
    from kerasft.stages.generate import check_writes

    # whatever of the arguments cannot be used is told before TensorFlow is loaded
    overrides, words, experiment = load_trained_experiment(config, prompts or [], output)
    asked = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "stop": tuple(stop) if stop else None,
        "seed": seed,
    }
    spelling = {name: f"--{name.replace('_', '-')}" for name in asked}
    check_writes(experiment.task).change(asked, "generate", spelling)
    given = Source(source, columns or (), header, encoding)
    kinds, rows = _choose_prompts(words, given, messages, experiment.task)
    batch_size = 1 if messages is None and is_typed(words, source) else batch_size
    stream = to is None and sys.stdout.isatty() if stream is None else stream
    with open_work(config, overrides, output, quiet, results=sys.stderr, is_owner=False) as work:
        from kerasft.stages.generate import Writer

        writer = Writer(work.run, work.config)
        options = writer.defaults.change(asked, "generate", spelling)
        waiting = Asked(rows, kinds, work, skip_errors=False)
        writer.warm_up(streams=stream)
        pace = Pace()
        with open_output(to) as place:
            if stream:
                is_chat = experiment.task.answers_conversations
                answers = _stream(writer, waiting, options, place, is_chat)
                for _ in waiting.collect(pace.watch(answers)):
                    pass
            else:
                answers = writer.write(waiting.feed(), options, batch_size=batch_size)
                _open_lines(place, batch_size, kinds).write_all(waiting.collect(pace.watch(answers)))
        work.progress.note(pace.describe())
    waiting.raise_refusals(command="generate")


def _open_lines(place: TextIO, batch_size: int, kinds: Kinds) -> JsonLinesWriter:
    from kerasft.stages.generate import KEYS

    return JsonLinesWriter(place, batch_size, keys=[*kinds, *KEYS])


def _choose_prompts(
    words: list[str], source: Source, messages: str | None, task: TaskConfig
) -> tuple[Kinds, Rows]:
    """What is asked, and the rows of it.

    Raises:
        ConfigError: nothing is, or in two ways; or the model takes no messages.
    """
    from kerasft.data.kinds import load_kind
    from kerasft.stages.generate import check_answers
    from kerasft.tasks.config import CONVERSATIONS, PROMPTS

    if messages is None:
        kinds = {field.name: load_kind(field) for field in PROMPTS}
        return kinds, choose_rows(words, source, kinds, command="generate")
    if words or source.path is not None or source.columns:
        raise ConfigError(
            "Conversations and texts are given.", where="--messages", fix="Give one or the other."
        )
    check_answers(task)
    return {field.name: load_kind(field) for field in CONVERSATIONS}, read_conversations(messages)


def _stream(
    writer: Writer, waiting: Asked, options: GenerationConfig, place: Any, is_chat: bool
) -> Iterator[dict[str, Any]]:
    """Shows each prompt and its text while it is written; yields what `Writer.write` would. An answer stands below what
    it answers."""
    from kerasft.stages.generate import tell_left_out

    for number, row in enumerate(waiting.feed()):
        place.write("\n" * (number > 0))
        try:
            text = writer.stream(row, options, number=number)
        except DataError as error:
            yield {**row, "error": error.what}
            continue
        place.write(_show_prompt(row) + "\n" * is_chat)
        place.flush()
        for piece in text:
            place.write(piece)
            place.flush()
        place.write("\n")
        place.flush()
        yield {**row, "tokens": text.tokens, "ended": text.ended, **tell_left_out(row, text.left_out)}


def _show_prompt(row: Mapping[str, Any]) -> str:
    """A row's text, or the last message of its conversation."""
    from kerasft.data.kinds.chat import parse_messages

    prompt: str = (
        parse_messages(row["messages"], is_answered=False)[-1][1] if "messages" in row else row["prompt"]
    )
    return prompt


class Pace:
    """Counts the tokens of answers, and the seconds that they took."""

    def __init__(self) -> None:
        self._began, self._tokens = time.perf_counter(), 0

    def watch(self, answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The same answers."""
        for answer in answers:
            self._tokens += answer.get("tokens", 0)
            yield answer

    def describe(self) -> str:
        """`Wrote 512 tokens in 3.2 s: 160 tokens/s`."""
        seconds = time.perf_counter() - self._began
        rate = format_rate(self._tokens / seconds) if seconds else "0"
        return f"Wrote {self._tokens:,} tokens in {format_seconds(seconds)}: {rate} tokens/s"
