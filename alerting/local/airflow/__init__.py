"""Programs of Airflow as this platform starts them on each host."""
