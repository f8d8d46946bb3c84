"""Pictures before they reach a model: files, decoding, augmentation, boxes and masks."""
