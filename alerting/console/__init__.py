"""FastAPI: the REST API and the operator's pages. Requests become use cases; nothing is decided here."""
