"""FastAPI: the REST API and the operator's pages. Each request calls a use case; this package makes
no decisions."""
