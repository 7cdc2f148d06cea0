"""Routes of notifications: their pages, and their changes through the API."""
