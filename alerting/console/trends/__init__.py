"""The trend of variables: a page, and its API."""
