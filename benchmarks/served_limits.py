"""What hostile and huge inputs cost an exported model: time and memory.

    python benchmarks/served_limits.py RUN [--bytes 500000 1000000]

RUN is a run's folder with an export. Of a model of pictures, one batch holds good pictures beside headers of 100
megapixels, GIFs of 500 frames, compressed data without end, files in very many parts, garbage and empty files; a
process with TensorFlow alone answers a usual batch, then that one. Of a model that finds entities, texts of 0.5 to
4 MB are answered, and the time that the net alone takes for their windows is set beside it.
"""

from __future__ import annotations

import argparse
import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SERVE = """
import pickle, resource, sys, time
import numpy as np
import tensorflow as tf

serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
with open(sys.argv[2], "rb") as file:
    good, bad = pickle.load(file)

def ask(files):
    began = time.perf_counter()
    answers = {name: value.numpy() for name, value in serve(image=tf.constant(files)).items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return answers, time.perf_counter() - began, peak

ask(good)
usual, seconds, before = ask(good + good)
print(f"usual batch of {2 * len(good)}: {seconds:.2f} s, peak {before:,.0f} MB")
mixed = [file for pair in zip(good, bad) for file in pair]
answers, seconds, after = ask(mixed)
print(f"with {len(bad)} others among them: {seconds:.2f} s, peak {after - before:,.0f} MB above")
difference = np.abs(answers["probabilities"][::2] - usual["probabilities"][: len(good)]).max()
print(f"good ones differ by {difference:.1e}; statuses of the others:")
for status in sorted({status.decode() or "(answered)" for status in answers["status"][1::2]}):
    print(f"  {status}")
"""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(width: int, height: int, rows: int, depth: int = 8, before: bytes = b"") -> bytes:
    """A PNG of zeros with as many rows as are said."""
    row, packer = bytes(1 + width * 4 * depth // 8), zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def make_pictures() -> tuple[list[bytes], list[bytes]]:
    """Good files, and as many bad ones."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)

    def save(image: Image.Image, format: str, **options) -> bytes:
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    scenes = [Image.fromarray(random.integers(0, 256, (240, 320, 3), np.uint8)) for _ in range(15)]
    good = [save(scene, format) for scene, format in zip(scenes, ["JPEG", "PNG", "WEBP"] * 5, strict=True)]
    frame = save(Image.new("P", (1000, 1000)), "GIF")
    palette = 13 + 3 * 2 ** ((frame[10] & 7) + 1)
    text = chunk(b"zTXt", b"c\0\0" + zlib.compress(bytes(300_000_000), 9))
    bmp = struct.pack("<IiiHHIIiiII", 40, 10_000, 10_000, 1, 24, 0, 0, 0, 0, 0, 0)
    bad = [
        make_png(10_000, 10_000, 1),
        make_png(8900, 8900, 40, 16),
        make_png(64, 64, 500_000),
        make_png(64, 64, 64, before=text),
        frame[:palette] + frame[palette:-1] * 500 + b";",
        save(Image.new("L", (10_000, 7900)), "JPEG", quality=1),
        save(Image.new("L", (6000, 6000)), "JPEG", quality=1, progressive=True),
        make_png(6000, 6000, 6000),
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + bmp,
        random.bytes(100_000),
        b"",
        good[0][:2000],
        frame[:palette] + (b"\x21\xfe" + b"\x01a\x02bc" * 9000 + b"\0") * 1000 + frame[palette:],
        make_png(64, 64, 64, before=chunk(b"PLTE", bytes(768)) * 16_000),
        make_png(64, 64, 64, before=chunk(b"tEXt", b"a\0b") * 16_000),
    ]
    return good, bad


def measure_pictures(export: Path) -> None:
    import pickle

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pictures")
        path.write_bytes(pickle.dumps(make_pictures()))
        subprocess.run([sys.executable, "-I", "-c", SERVE, str(export), str(path)], check=True)


def take_time(call: Callable[[], object], repeats: int = 2) -> tuple[float, float]:
    """Seconds of the fastest of a few calls, and of all processors: other work beside it changes those less."""
    seconds, busy = [], []
    for _ in range(repeats):
        began, began_busy = time.perf_counter(), time.process_time()
        call()
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - began_busy)
    return min(seconds), min(busy)


def measure_texts(run: Path, export: Path, sizes: Sequence[int]) -> None:
    import tensorflow as tf

    from kerasft.runs.folder import RunFolder
    from kerasft.training.trained import load_trained

    trained = load_trained(RunFolder(run))
    module = trained.task.serve(trained.model).module
    serve = tf.saved_model.load(str(export)).signatures["serving_default"]
    encoder = trained.task.encoder
    row = tf.TensorSpec((None, None), tf.int32)
    inputs_spec = {name: row for name in ("token_ids", "segment_ids", "padding_mask")}
    run_net = tf.function(module._run_net, autograph=False, input_signature=[inputs_spec])
    words = "Ada Lovelace met a friend in Lisbon , and they wrote to the Royal Society of London . "

    def take_both(size: int) -> tuple[int, tuple[float, float], tuple[float, float]]:
        text = (words * (size // len(words) + 1))[:size]
        inputs = encoder.tokenizer.encode_windows([text], encoder.max_length, encoder.overlap).inputs
        net = take_time(lambda: run_net(inputs))
        return len(inputs["token_ids"]), net, take_time(lambda: serve(text=tf.constant([text])))

    take_both(10_000)
    for size in sizes:
        windows, net, whole = take_both(size)
        print(
            f"{size:>9,} bytes, {windows:>6,} windows: net {net[0]:7.2f} s, served {whole[0]:7.2f} s, "
            f"{whole[0] / net[0]:.2f} times ({whole[1] / net[1]:.2f} times the processors' time), "
            f"{1e6 * whole[1] / size:.2f} of it a MB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--bytes", type=int, nargs="+", default=[500_000, 1_000_000, 2_000_000, 4_000_000], help="of texts"
    )
    options = parser.parse_args()
    run = options.run
    versions = [path for path in (run / "export").glob("*") if path.name.isdigit()]
    if not versions:
        raise SystemExit(f"{run}/export holds no version: run `kerasft export`.")
    export = max(versions, key=lambda path: int(path.name)).resolve()
    if "image" in (export / "assets.extra" / "model_card.md").read_text(encoding="utf-8")[:2000]:
        measure_pictures(export)
    else:
        measure_texts(run, export, options.bytes)


if __name__ == "__main__":
    main()
