"""FastAPI: REST API and operator's pages. Each request calls a use case that decides."""
