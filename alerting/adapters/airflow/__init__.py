"""Last good copy on disk of the definitions that the DAG folder reads."""
