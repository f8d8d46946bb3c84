"""Image nets: names, weights, faster forms, and heads."""
