"""The platform on one machine: start its parts, supervise them, and stop them in order."""
