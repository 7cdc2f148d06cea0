"""Health of the platform: conditions with alerts, metrics, last runs, verification."""
