"""Use cases that DAGs, commands and the API call."""
