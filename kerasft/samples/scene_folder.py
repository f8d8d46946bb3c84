"""Drawn scenes as a folder of pictures by split and class; what is known of them is in scenes.jsonl and COCO's JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from kerasft.errors import ConfigError, DataError, KerasftError
from kerasft.files import compute_sha256, whole_folder, write_json
from kerasft.progress import Bar, Progress, Silent
from kerasft.samples.folders import is_written
from kerasft.samples.scene_boxes import format_instances, name_instances
from kerasft.samples.scenes import MAX_OBJECTS, SUPPORTED_SIZES_PX, Classes, Scene, draw_scene, list_classes
from kerasft.untrusted import check_tree, load_json

SPLITS = ("train", "validation", "test")
SCENES_FILE = "scenes.jsonl"
SETTINGS_FILE = "settings.json"
DRAWING_VERSION = 1
"""Raised when the same seed gives different pictures."""
_SPLIT_LENGTH = 1_000_000_000
"""Where a split's indices begin, after the one before: so no two splits share a picture, and a longer train leaves
validation as it was."""
_PIECE = 50
"""Pictures that a worker draws before it tells."""
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class SceneSettings:
    """All that a folder of scenes follows from."""

    seed: int
    size_px: int
    classes: Classes
    only: tuple[str, ...]
    max_objects: int
    picture_format: Literal["jpg", "png"]
    masks: bool
    pictures: dict[str, int]
    """By split."""
    drawing_version: int = DRAWING_VERSION


def write_scenes(
    folder: str | Path,
    count: int,
    *,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    size_px: int = 128,
    classes: Classes = "shape",
    only: Sequence[str] = (),
    max_objects: int = MAX_OBJECTS,
    picture_format: Literal["jpg", "png"] = "jpg",
    masks: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> bool:
    """Writes `<split>/<class>/<number>.jpg`, scenes.jsonl, settings.json, and the boxes of each split's objects as COCO
    has them, `instances_<split>.json`; whole or not at all.

    A line of scenes.jsonl is a picture: its path, SHA-256, split, class, index (of `draw_scene`), and its objects,
    each with class, texture, box (x0, y0, x1, y1 in pixels, the ends exclusive), area (pixels that are to be seen of
    it) and the share occluded; with `masks`, the paths of its class mask and its instance mask (PNG) as well.

    Args:
        folder: new or empty, or one that holds exactly what would be written.
        count: pictures of train; each split's are spread evenly over the classes.
        validation: pictures of validation.
        test: pictures of test.
        seed: at least 0.
        size_px: height and width, 32 to 1024.
        classes: what a picture's class is.
        only: some of the classes' names; none given are all.
        max_objects: 1 to 6; with fewer, scenes are easier to learn from.
        picture_format: `jpg` or `png`, which keeps every bit.
        masks: whether to write masks.
        workers: processes that draw; the bytes are the same for any number. With more than one, a script that calls
            this needs the usual `if __name__ == "__main__":`.
        progress: is told of each picture.

    Returns:
        Whether anything was written; False where all of it stood there.

    Raises:
        ConfigError: an argument cannot be used, or something else stands at `folder`.
        StorageError: it cannot be written; `folder` is as it was.
    """
    pictures = {"train": count, "validation": validation, "test": test}
    settings = SceneSettings(
        seed, size_px, classes, tuple(only), max_objects, picture_format, masks, pictures
    )
    _check_settings(settings, workers)
    folder = Path(folder)
    if is_written(folder, "scenes", lambda: _holds(folder, settings)):
        return False
    with (
        (progress or Silent()).bar("scenes", sum(pictures.values()), "pictures") as bar,
        whole_folder(folder) as temporary,
    ):
        _write_all(temporary, settings, workers, bar)
    return True


def _check_settings(settings: SceneSettings, workers: int) -> None:
    try:
        names = list_classes(settings.classes, settings.only)
    except ValueError as error:
        raise ConfigError(str(error), where="only") from error
    if settings.size_px not in SUPPORTED_SIZES_PX:
        raise ConfigError(f"expected a size of 32 to 1024 pixels, got {settings.size_px}", where="size")
    if not 1 <= settings.max_objects <= MAX_OBJECTS:
        raise ConfigError(f"expected 1 to {MAX_OBJECTS}, got {settings.max_objects}", where="max-objects")
    if settings.seed < 0:
        raise ConfigError(f"expected a seed ≥ 0, got {settings.seed}", where="seed")
    if workers < 1:
        raise ConfigError(f"expected at least one worker, got {workers}", where="workers")
    for split, count in settings.pictures.items():
        if split == "train" or count:
            if count < len(names):
                raise ConfigError(
                    f"{count} pictures cannot show all {len(names)} classes.",
                    where=split,
                    fix=f"Ask for {len(names)} or more.",
                )
            if count > _SPLIT_LENGTH:
                raise ConfigError(f"expected at most {_SPLIT_LENGTH:,} pictures, got {count:,}", where=split)


def _holds(folder: Path, settings: SceneSettings) -> bool:
    """Whether the folder has these scenes, to the byte, and nothing else."""
    try:
        check_tree(folder)
        stored = load_json(folder / SETTINGS_FILE)
        scenes = (folder / SCENES_FILE).read_bytes()
    except (OSError, ValueError, DataError):
        return False
    if stored != _describe_settings(settings, scenes):
        return False
    rows = [json.loads(line) for line in scenes.splitlines()]
    expected = {
        path: hashlib.sha256(content).hexdigest() for path, content in _format_boxes(settings, rows).items()
    }
    for row in rows:
        expected |= {part["path"]: part["sha256"] for part in (row, *row.get("masks", {}).values())}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return found == {*expected, SETTINGS_FILE, SCENES_FILE} and all(
        compute_sha256(folder / path) == digest for path, digest in expected.items()
    )


def _format_boxes(settings: SceneSettings, rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """COCO's files of boxes: name → content, of each split that has pictures."""
    splits = [split for split, count in settings.pictures.items() if count]
    return {
        name_instances(split): format_instances(
            [row for row in rows if row["split"] == split], settings.size_px, list_classes("shape")
        )
        for split in splits
    }


def _describe_settings(settings: SceneSettings, scenes: bytes) -> dict[str, Any]:
    names = list_classes(settings.classes, settings.only)
    return {
        **dataclasses.asdict(settings),
        "only": list(settings.only),
        "class_names": names,
        "object_names": list_classes("shape"),
        "scenes_sha256": hashlib.sha256(scenes).hexdigest(),
    }


def _write_all(folder: Path, settings: SceneSettings, workers: int, bar: Bar) -> None:
    for split, count in settings.pictures.items():
        for name in list_classes(settings.classes, settings.only) if count else ():
            (folder / split / name).mkdir(parents=True)
        if settings.masks and count:
            for kind in ("classes", "instances"):
                (folder / "masks" / kind / split).mkdir(parents=True)
    lines = []
    for piece in _draw_pieces(folder, settings, workers):
        lines += piece
        bar.advance(len(piece))
    scenes = "".join(lines).encode()
    (folder / SCENES_FILE).write_bytes(scenes)
    for name, content in _format_boxes(settings, [json.loads(line) for line in lines]).items():
        (folder / name).write_bytes(content)
    write_json(folder / SETTINGS_FILE, _describe_settings(settings, scenes))


def _draw_pieces(folder: Path, settings: SceneSettings, workers: int) -> Iterator[list[str]]:
    """Lines of scenes.jsonl, in order."""
    pieces = [
        (split, start, min(start + _PIECE, count))
        for split, count in settings.pictures.items()
        for start in range(0, count, _PIECE)
    ]
    if workers == 1:
        for piece in pieces:
            yield _write_piece(folder, settings, *piece)
        return
    # a forked copy of a process that runs TensorFlow may hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(pieces)), context, initializer=_leave_signals_to_parent)
    try:
        waiting: list[Future[list[str]]] = [
            pool.submit(_write_piece, folder, settings, *piece) for piece in pieces
        ]
        for done in waiting:
            yield done.result()
    except BrokenProcessPool as error:
        raise KerasftError(
            "a process that drew scenes was killed, perhaps because memory ran out.",
            fix="Try fewer workers; nothing was written.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_piece(folder: Path, settings: SceneSettings, split: str, start: int, end: int) -> list[str]:
    offset = SPLITS.index(split) * _SPLIT_LENGTH
    lines = []
    for number in range(start, end):
        index = offset + number
        scene = draw_scene(
            settings.seed,
            index,
            size_px=settings.size_px,
            classes=settings.classes,
            only=settings.only,
            max_objects=settings.max_objects,
        )
        row = _write_scene(folder, settings, scene, split, number)
        lines.append(json.dumps({**row, "split": split, "index": index, **_describe(scene)}) + "\n")
    return lines


def _write_scene(
    folder: Path, settings: SceneSettings, scene: Scene, split: str, number: int
) -> dict[str, Any]:
    row: dict[str, Any] = _save(
        folder, f"{split}/{scene.name}/{number:06}.{settings.picture_format}", scene.image
    )
    if settings.masks:
        row["masks"] = {
            kind: _save(folder, f"masks/{kind}/{split}/{number:06}.png", mask)
            for kind, mask in (("classes", scene.class_mask), ("instances", scene.instance_mask))
        }
    return row


def _save(folder: Path, path: str, pixels: np.ndarray) -> dict[str, str]:
    encoded = io.BytesIO()
    if path.endswith(".jpg"):
        Image.fromarray(pixels).save(encoded, "JPEG", quality=_JPEG_QUALITY)
    else:
        Image.fromarray(pixels).save(encoded, "PNG", compress_level=3)
    (folder / path).write_bytes(encoded.getvalue())
    return {"path": path, "sha256": hashlib.sha256(encoded.getvalue()).hexdigest()}


def _describe(scene: Scene) -> dict[str, Any]:
    objects = [
        {
            "class": thing.name,
            "texture": thing.texture,
            "box": thing.box,
            "area": int(np.count_nonzero(scene.instance_mask == number)),
            "occluded": thing.occluded,
        }
        for number, thing in enumerate(scene.objects, 1)
    ]
    return {"class": scene.name, "objects": objects}
