"""The shapes of a run folder's JSON records, checked when one is read: the folder may come from someone else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

Count = Annotated[int, pydantic.Field(ge=0)]
Number = Annotated[float, pydantic.Field(allow_inf_nan=False)]
Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""What becomes part of a file's name."""


class PrecisionRecord(pydantic.BaseModel):
    """What `auto` chose on the first day."""

    model_config = pydantic.ConfigDict(extra="forbid")

    policy: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    matmul_dtype: Literal["float32", "bfloat16", "float16"]
    reason: str


class StageRecord(pydantic.BaseModel):
    """Of one stage, in stages.json."""

    fingerprint: str
    finished: str = ""
    version: Name | None = None
    folder: str | None = None
    precision: PrecisionRecord | None = None
    train: dict[Name, Annotated[int, pydantic.Field(ge=1)]] | None = None
    """Keys of the `train` section that were settled when a training began."""


class Figure(pydantic.BaseModel):
    """Of one split, in metrics.json."""

    value: Number | None
    low: Number | None = None
    high: Number | None = None


StageRecords = dict[str, StageRecord]
Metrics = dict[str, dict[Name, dict[str, Figure]]]
"""`{stage: {split: {figure: …}}}`"""


class Environment(pydantic.BaseModel):
    """environment.json."""

    versions: dict[str, str] = {}


class _IdentityConfig(pydantic.BaseModel):
    seed: int
    task: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    train: dict[str, Any]


class Identity(pydantic.BaseModel):
    """What a training began with; see `kerasft.training.identity`."""

    config: _IdentityConfig
    data: str
    preset: str
    vocabulary: str
    versions: dict[str, str]


class _TaskSection(pydantic.BaseModel):
    type: str


class TaskRecord(pydantic.BaseModel):
    """task.json."""

    task: _TaskSection
    model: dict[str, Any]
    own: dict[str, dict[str, Any]] = {}
    label_names: list[str]
    class_names: dict[str, list[str]] = {}
    fingerprint: str
    dataset_fingerprint: str
    identity: Identity | None = None


class _StepLoss(pydantic.BaseModel):
    sum: float
    examples: Count
    epoch: Count


class _Throughput(pydantic.BaseModel):
    examples: Count
    seconds: Number


class _Best(pydantic.BaseModel):
    value: float | None
    epoch: int | None
    best: float | None


class _Counter(pydantic.BaseModel):
    epochs: Count


class _History(pydantic.BaseModel):
    step: Count
    epoch: Count
    bytes: Count


class _TensorBoard(pydantic.BaseModel):
    step: Count
    bytes: dict[str, Count]


class _Progress(pydantic.BaseModel):
    smooth: float | None
    done: Count


class _Average(pydantic.BaseModel):
    in_model: bool


class _EarlyStopping(pydantic.BaseModel):
    wait: float | None
    stopped_epoch: float | None
    best: float | None
    best_epoch: float | None


class _Callbacks(pydantic.BaseModel):
    """Those that a training lacks are missing here; which it has, it knows itself."""

    step_loss: _StepLoss | None = None
    throughput: _Throughput | None = None
    best: _Best | None = None
    counter: _Counter | None = None
    history: _History | None = None
    tensorboard: _TensorBoard | None = None
    progress: _Progress | None = None
    average: _Average | None = None
    early_stopping: _EarlyStopping | None = None


class TrainingState(pydantic.BaseModel):
    """state.json of a checkpoint in the middle of a training."""

    epoch: Count
    steps_of_epoch: Count
    best_step: Count | None
    stopped_early: bool
    seconds: Number
    plan: str
    callbacks: _Callbacks
    generators: dict[str, Any]
    precision: PrecisionRecord
    identity: Identity
    phase: str
    steps_before: Count
    first_epoch: Count = 0
    steps_per_epoch: Annotated[int, pydantic.Field(ge=1)] | None = None
    """Of a training that is validated by steps: its `epoch` is an interval between two validations."""


class BestStep(pydantic.BaseModel):
    """The one thing that checkpoints of all kinds are asked for."""

    best_step: Count | None = None


class _Logs(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    history: _History
    tensorboard: _TensorBoard


class _Result(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    examples_per_second: Number
    tokens_per_example: Number = 0.0
    padding_share: Number
    best_epoch: Count | None
    best_value: float | None
    best_step: Count | None
    epochs: Count
    steps: Count
    seconds: Number
    logs: _Logs
    exhausted: bool


class PhaseRecord(pydantic.BaseModel):
    """state.json of what came of a phase that is over."""

    result: _Result


class _FileFact(pydantic.BaseModel):
    bytes: Count
    sha256: str


class CheckpointManifest(pydantic.BaseModel):
    """MANIFEST of a checkpoint."""

    format: int
    step: Count
    files: dict[str, _FileFact]


class Parity(pydantic.BaseModel):
    """parity.json of an export."""

    examples: Count
    largest_difference: Number
    mean_difference: Number
    labels_equal: Count
    tolerance: Number
