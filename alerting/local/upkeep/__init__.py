"""Backup of a platform, its restore into an empty home, cleaning of Airflow and MLflow."""
