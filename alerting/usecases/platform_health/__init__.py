"""Health of the platform: conditions that raise its own alerts, metrics, last runs, verification of
models."""
