"""Writes TensorBoard's logs of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasft.printable import make_page
from kerasft.training.history import cut_back


class TensorBoardLog(keras.callbacks.Callback):
    """Scalars every few steps; after each epoch the validation figures and example predictions; pictures; HParams.

    Args:
        folder: where the event files go.
        every_steps: steps between scalars.
        step_figures: () → figures of the last step (loss, learning rate, gradient norm, …).
        texts: () → `{tag: Markdown}` after each epoch.
        images: () → `{tag: PNG bytes}`, asked for after a few epochs, the last among them.
        most_images: how many epochs of a `fit` at most.
        hyperparameters: for the HParams page: `{name: number, text or truth value}`.
    """

    def __init__(
        self,
        folder: Path,
        every_steps: int,
        step_figures: Callable[[], Mapping[str, float]],
        texts: Callable[[], Mapping[str, str]] = dict,
        images: Callable[[], Mapping[str, bytes]] = dict,
        hyperparameters: Mapping[str, Any] | None = None,
        most_images: int = 5,
    ):
        super().__init__()
        self._most_images = most_images
        self._folder, self._every, self._figures = folder, every_steps, step_figures
        self._texts, self._images = texts, images
        self._hyperparameters = dict(hyperparameters or {})
        self._step = 0
        self._writers: dict[str, Any] = {}
        self._goes_on = False

    def get_state(self) -> dict[str, Any]:
        for writer in self._writers.values():
            writer.flush()
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        sizes = {path.relative_to(self._folder).as_posix(): path.stat().st_size for path in files}
        return {"step": self._step, "bytes": sizes}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Also takes what was written of steps that will be done again out of the event files."""
        self._step, self._goes_on = state["step"], True
        for path in self._folder.rglob("*"):
            if path.is_file():
                size = state["bytes"].get(path.relative_to(self._folder).as_posix())
                if size is None and "tfevents" in path.name:
                    path.unlink()
                elif size is not None:
                    cut_back(path, size)

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(str(self._folder / name))
        return self._writers[name]

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        if self._hyperparameters and not self._goes_on:
            from tensorboard.plugins.hparams import api

            with self._writer("validation").as_default():
                api.hparams(self._hyperparameters)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self._step += 1
        if self._step != 1 and self._step % self._every:
            return
        with self._writer("train").as_default(step=self._step):
            for name, value in self._figures().items():
                tf.summary.scalar(f"step/{name}", value)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        for name, value in (logs or {}).items():
            split, figure = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
            with self._writer(split).as_default(step=self._step):
                tf.summary.scalar(f"epoch/{figure}", float(value))
        with self._writer("validation").as_default(step=self._step):
            for tag, text in self._texts().items():
                tf.summary.text(tag, make_page(text))
        # the last epoch's in any case
        if (self.params["epochs"] - 1 - epoch) % math.ceil(self.params["epochs"] / self._most_images) == 0:
            self.write_images(self._images())
        for writer in self._writers.values():
            writer.flush()

    def write_images(self, images: Mapping[str, bytes]) -> None:
        """Shows pictures, `{tag: PNG bytes}`, at the step that training has come to."""
        with self._writer("validation").as_default(step=self._step):
            for tag, png in images.items():
                tf.summary.image(tag, tf.image.decode_png(png, channels=3)[None])

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the event files; to be called where `fit` may leave by an exception."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
