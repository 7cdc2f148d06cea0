"""A simulated biscuit oven line with documented physics. See docs/demo-line.md."""
