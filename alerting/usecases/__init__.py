"""What DAGs, commands and the API call."""
