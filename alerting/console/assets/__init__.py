"""Assets: their pages, and their changes through the API."""
