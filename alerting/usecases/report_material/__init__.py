"""Material of a report, read from the stores: episodes, readings around them, moving limits."""
