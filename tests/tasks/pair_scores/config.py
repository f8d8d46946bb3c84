"""The sections of an experiment that learns a number for two texts."""

from typing import ClassVar, Literal

from kerasft.data.kinds.fields import Field
from kerasft.metrics.figures import FigureKind, FigureKinds
from kerasft.models.config import TextModelConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import TrainConfig


class PairScoreConfig(TaskConfig):
    """A number for two texts: how alike they are, say."""

    type: Literal["pair_score"]
    answer_keys: ClassVar = ("score",)
    fields: ClassVar = Field("first", "text"), Field("second", "text"), Field("score", "number", "target")
    figure_kinds: ClassVar = FigureKinds(
        (FigureKind("error", "Error", "root of the mean squared error", False, "number", "headline"),)
    )


class PairScoreTrainConfig(TrainConfig):
    """How it learns."""

    monitor: str = "error"


SECTIONS = Sections(task=PairScoreConfig, model=TextModelConfig, train=PairScoreTrainConfig)
