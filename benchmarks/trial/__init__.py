"""The closed-loop trial: the same disturbances on two simulated lines, one left alone, one acted
upon. See docs/demo-line.md."""
