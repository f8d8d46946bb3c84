"""What a model without pre-training reaches on a config's prepared data: TF-IDF and logistic regression.

usage: baseline_tfidf.py RUN_FOLDER

Fits words and pairs of words of the run's training split, and prints the accuracy on its test split beside the run's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from kerasft.data.prepared import load_prepared_dataset
from kerasft.runs.folder import RunFolder


def main(folder: str) -> None:
    """Prints both accuracies."""
    run = RunFolder(Path(folder))
    dataset = load_prepared_dataset(run.dataset)

    def read(split: str) -> tuple[list[str], list[int]]:
        rows = [row for chunk in dataset.split(split).iterate() for row in chunk]
        return [row["text"] for row in rows], [row["label"] for row in rows]

    for longest in (1, 2):
        for strength in (1.0, 10.0, 100.0):
            words = TfidfVectorizer(ngram_range=(1, longest))
            baseline = make_pipeline(words, LogisticRegression(C=strength, max_iter=2000))
            score = baseline.fit(*read("train")).score(*read("test"))
            print(f"TF-IDF + logistic regression, up to {longest} words, C={strength:g}: {score:.4f}")
    figures = run.read_metrics().get("evaluate", {}).get("test", {})
    print(f"the run: {figures['accuracy']['value']:.4f}" if figures else "the run: not evaluated")


if __name__ == "__main__":
    main(*sys.argv[1:2])
