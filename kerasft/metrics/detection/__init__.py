"""Figures of object detection: COCO's average precision and recall, kinds of errors, curves, thresholds."""
