"""What pictures need before a model sees them: files, decoding, augmentation, boxes and masks."""
