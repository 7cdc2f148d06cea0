"""A simulated biscuit oven line with documented physics and settable set-points. See
docs/demo-line.md."""
