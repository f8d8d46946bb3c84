"""What is read of a GIF before it is decoded is bounded by a number, not by the file's size."""

from __future__ import annotations

import pytest
import tensorflow as tf
from odd_pictures import draw, save

from kerasft.vision.decoding import gif as gif_graph
from kerasft.vision.decoding.file_bytes import FileBytes

COMMENT, UNEVEN_BLOCKS = b"\x21\xfe", b"\x01a\x02bc"


@pytest.mark.parametrize(
    ("extensions", "blocks", "status"),
    [(10, 1, b""), (3, 20, b"damaged: a GIF of over 50 runs of blocks")],
)
def test_runs_of_blocks_are_counted_through_the_whole_file(
    monkeypatch: pytest.MonkeyPatch, extensions: int, blocks: int, status: bytes
) -> None:
    monkeypatch.setattr(gif_graph, "_MAX_RUNS", 50)
    gif = save(draw(), "GIF")
    palette_end = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    comments = (COMMENT + UNEVEN_BLOCKS * blocks + b"\0") * extensions
    plan = gif_graph.inspect_gif(FileBytes(tf.constant(gif[:palette_end] + comments + gif[palette_end:])))
    assert plan.status.numpy() == status
