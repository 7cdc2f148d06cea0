"""Implementations of the ports: MongoDB, MLflow, files, channels, embedded server, Airflow."""
