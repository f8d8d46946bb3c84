"""Opening a split's examples: where what is encoded is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from needs import lacks

from kerasft.data.prepared import load_prepared_dataset
from kerasft.errors import READ_ONLY, StorageError
from kerasft.progress import Silent
from kerasft.training.trained import load_trained, open_feed

UNWRITABLE = Path("/sys/kerasft-cache")
"""Nobody may make a folder there, root neither."""


@pytest.mark.skipif(not UNWRITABLE.parent.is_dir(), reason=lacks("/sys", "folders that are read-only"))
def test_where_a_folder_may_not_be_written_to_another_is_used_if_there_is_one(tiny_run, tmp_path) -> None:
    trained, dataset = load_trained(tiny_run), load_prepared_dataset(tiny_run.dataset)
    opened = trained.task, dataset, "test"
    with pytest.raises(StorageError) as refused:
        open_feed(*opened, UNWRITABLE, Silent())
    assert refused.value.errno in READ_ONLY
    with pytest.raises(StorageError):
        open_feed(*opened, UNWRITABLE, Silent(), instead=[UNWRITABLE])
    feed = open_feed(*opened, UNWRITABLE, Silent(), instead=[UNWRITABLE, tmp_path / "own"])
    assert len(feed) == len(dataset.split("test"))
    assert any((tmp_path / "own").rglob("cache.json"))
    open_feed(*opened, tmp_path / "given", Silent(), instead=[tmp_path / "unused"])
    assert not (tmp_path / "unused").exists()
