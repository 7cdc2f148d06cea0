"""Implementations of the ports: MongoDB, MLflow, files, channels, the embedded server, Airflow's
snapshot of DAGs."""
