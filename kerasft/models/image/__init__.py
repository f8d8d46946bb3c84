"""Image nets: their names, weights, fast forms, and what stands on them."""
