"""Sources: apply their documents, and store what they deliver."""
