"""A simulated biscuit oven line with stated physics, that can be acted upon. See docs/demo-line.md."""
