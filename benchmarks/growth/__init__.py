"""Growth of costs: with the size of a plant, and with its time."""
