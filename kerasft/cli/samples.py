"""`kerasft samples`: writes sample data, to try kerasft or to pre-train on."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kerasft.cli.failures import guarded
from kerasft.cli.options import QuietOption
from kerasft.cli.progress import open_progress
from kerasft.cli.signals import ending_in_order

samples_app = typer.Typer(
    help="Writes sample data: drawn scenes with classes, boxes and masks, sentences with entities, articles without "
    "labels, or prompts with the texts that answer them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Classes(StrEnum):
    """What a scene's class is."""

    SHAPE = "shape"
    TEXTURE = "texture"
    SHAPE_AND_TEXTURE = "shape_and_texture"
    PLACE = "place"


class PictureFormat(StrEnum):
    """How a picture is written."""

    JPG = "jpg"
    PNG = "png"


@samples_app.command(
    "scenes",
    epilog="""\b
Examples:
  kerasft samples scenes --to scenes
  kerasft samples scenes --to scenes --train 20000 --size 96 --max-objects 1
  kerasft samples scenes --to street --train 500 --validation 100 --test 100 --masks --format png

\b
What is written:
  scenes/train/mug/000010.jpg   pictures by split and class, equally many of each class
  scenes/instances_train.json   the boxes of objects, as COCO has them: train: {format: coco, path: scenes}
  scenes/scenes.jsonl           one picture a line: its objects with class, texture, box, area and occluded share
  scenes/masks/classes/train/000010.png     with --masks: 0 background, else the object's class + 1
  scenes/masks/instances/train/000010.png   with --masks: 0 background, else the object's number, from 1
  scenes/settings.json          the settings that determine everything""",
)
@guarded
def scenes_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    train: Annotated[int, typer.Option("--train", help="Number of training pictures.")] = 10_000,
    validation: Annotated[int, typer.Option("--validation", help="Number of validation pictures.")] = 1_000,
    test: Annotated[int, typer.Option("--test", help="Number of test pictures.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Height and width in pixels, 32 to 1024.")] = 128,
    seed: Annotated[int, typer.Option("--seed", help="Random seed; each seed draws different pictures.")] = 0,
    classes: Annotated[
        Classes,
        typer.Option(
            "--classes",
            help="What the class of a picture is: the shape or texture of its main object, both, or the place.",
        ),
    ] = Classes.SHAPE,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="A class to include; can be repeated.  [default: all]"),
    ] = None,
    max_objects: Annotated[
        int, typer.Option("--max-objects", help="1 to 6; scenes with fewer are easier to learn from.")
    ] = 6,
    picture_format: Annotated[
        PictureFormat, typer.Option("--format", help="png is lossless, and six times as large.")
    ] = PictureFormat.JPG,
    masks: Annotated[
        bool, typer.Option("--masks", help="Also writes masks of classes and instances.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Number of processes.  [default: one for each core]")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Draws scenes: a main object and others, with light and shadow, on varied backgrounds.

    There are 16 shapes and 12 textures. Use scenes for pre-training if there are no pre-trained weights, and for
    trying detection and segmentation, since everything in them is known. The same options give the same pictures on
    every machine.
    """
    from kerasft.samples.scene_folder import write_scenes

    with open_progress(quiet) as progress, ending_in_order():
        written = write_scenes(
            to,
            train,
            validation=validation,
            test=test,
            seed=seed,
            size_px=size,
            classes=classes.value,
            only=only or (),
            max_objects=max_objects,
            picture_format=picture_format.value,
            masks=masks,
            workers=_count_cores() if workers is None else workers,
            progress=progress,
        )
        if not written:
            progress.note(f"{to} already contains exactly these scenes; nothing was written.")
    print(to)


@samples_app.command(
    "entities",
    epilog="""\b
Examples:
  kerasft samples entities --to entities

\b
What is written, the same for en and zh:
  entities/en.train.jsonl        one sentence a line: text, and entities as [start, end, type]
  entities/en.validation.jsonl
  entities/en.test.jsonl""",
)
@guarded
def entities_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    quiet: QuietOption = False,
) -> None:
    """Writes English and Chinese sentences in which people, places, organisations and products are marked.

    They are the ones that come with kerasft: to look at, and as a pattern for your own.
    """
    from kerasft.samples.entity_folder import write_entities

    with open_progress(quiet) as progress, ending_in_order():
        if not write_entities(to):
            progress.note(f"{to} already contains exactly these sentences; nothing was written.")
    print(to)


@samples_app.command(
    "articles",
    epilog="""\b
Examples:
  kerasft samples articles --to runs/articles
  kerasft run configs/lm/quickstart.yaml

\b
What is written, more than 60 files:
  runs/articles/bread.txt        one article a file, with blank lines between paragraphs""",
)
@guarded
def articles_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    quiet: QuietOption = False,
) -> None:
    """Writes short articles, stories, letters and dialogues in English: a small corpus without labels.

    It is large enough to try pre-training in minutes, and far too small for a model that is of use.
    """
    from kerasft.samples.article_folder import write_articles

    with open_progress(quiet) as progress, ending_in_order():
        if not write_articles(to):
            progress.note(f"{to} already contains exactly these articles; nothing was written.")
    print(to)


@samples_app.command(
    "shop-texts",
    epilog="""\b
Examples:
  kerasft samples shop-texts --to runs/shop_texts

\b
What is written:
  runs/shop_texts/train.jsonl        one text a line: prompt (a clerk's note) and completion (the text for the shop)
  runs/shop_texts/validation.jsonl
  runs/shop_texts/test.jsonl""",
)
@guarded
def shop_texts_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    quiet: QuietOption = False,
) -> None:
    """Writes short product texts of one style, each with the note that it is made of.

    They are the ones that come with kerasft: to teach a language model a style, and as a pattern for your own prompts
    and completions.
    """
    from kerasft.samples.shop_folder import write_shop_texts

    with open_progress(quiet) as progress, ending_in_order():
        if not write_shop_texts(to):
            progress.note(f"{to} already contains exactly these shop texts; nothing was written.")
    print(to)


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
