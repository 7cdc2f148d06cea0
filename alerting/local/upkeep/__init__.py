"""Backup of a platform into a folder, its restore into an empty home, and the cleaning of Airflow
and MLflow."""
