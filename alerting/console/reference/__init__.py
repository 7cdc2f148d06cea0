"""The page of the API, from its description."""
