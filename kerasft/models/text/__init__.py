"""Text encoders: their presets, their fast forms, and what stands on them."""
