"""`kerasft samples`: data of our own making, to try things on and to pre-train with."""

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
    help="Data of our own making: drawn scenes, with classes, boxes and masks; sentences with names.",
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
  scenes/train/mug/000010.jpg   pictures by split and class, as many of each class
  scenes/scenes.jsonl           a picture a line: its objects with class, texture, box and occluded share
  scenes/masks/classes/train/000010.png     with --masks: 0 background, else the object's class + 1
  scenes/masks/instances/train/000010.png   with --masks: 0 background, else the object's number, from 1
  scenes/settings.json          what all of it follows from""",
)
@guarded
def scenes_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to be written.")],
    train: Annotated[int, typer.Option("--train", help="Pictures of train.")] = 10_000,
    validation: Annotated[int, typer.Option("--validation", help="Pictures of validation.")] = 1_000,
    test: Annotated[int, typer.Option("--test", help="Pictures of test.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Height and width in pixels, 32 to 1024.")] = 128,
    seed: Annotated[int, typer.Option("--seed", help="Random seed; each seed draws different pictures.")] = 0,
    classes: Annotated[
        Classes,
        typer.Option(
            "--classes",
            help="What a picture's class is: its main object's shape or texture, both, or its place.",
        ),
    ] = Classes.SHAPE,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="A class that there is; once for each.  [default: all]"),
    ] = None,
    max_objects: Annotated[
        int, typer.Option("--max-objects", help="1 to 6; scenes with fewer are easier to learn from.")
    ] = 6,
    picture_format: Annotated[
        PictureFormat, typer.Option("--format", help="png keeps every bit, and takes six times the room.")
    ] = PictureFormat.JPG,
    masks: Annotated[bool, typer.Option("--masks", help="Writes masks of classes and instances.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that draw.  [default: one a core]")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Draws scenes: a main object among others, in light and shadow, before grounds of all kinds.

    There are 16 shapes and 12 textures. Scenes are for pre-training where no pre-trained weights are at hand, and for
    trying detection and segmentation: all that is in them is known. The same options give the same pictures on any
    machine.
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
  entities/en.train.jsonl        a sentence a line: text, and entities as [start, end, type]
  entities/en.validation.jsonl
  entities/en.test.jsonl""",
)
@guarded
def entities_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to be written.")],
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


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
