"""The clock and the state of the demo line in MongoDB."""
