"""DAG files for Airflow, and parts that Airflow loads."""
