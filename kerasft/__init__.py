"""kerasft: from raw data to a served model in Keras.

    import kerasft

    train = {"text": texts, "label": labels}
    run = kerasft.finetune(task="text_classification", preset="bert_base_en_uncased", train=train, epochs=3)
    run.predict(["What a film."])
    run.export("served/1")

Names are imported on first use: `import kerasft` loads neither TensorFlow nor Keras.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Run": "kerasft.api.run",
    "finetune": "kerasft.api.finetuning",
    "load_run": "kerasft.api.run",
}
_ROOMS = ("optimizers", "metrics", "plots", "text")

__all__ = ["Run", "__version__", "finetune", "load_run", *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"kerasft.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
