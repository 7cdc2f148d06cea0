"""The command `alerting`."""
