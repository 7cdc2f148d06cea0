"""Definitions over HTTP: the REST API, previews, and the pages on top of them."""
