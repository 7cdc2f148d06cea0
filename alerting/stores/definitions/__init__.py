"""Assets, definitions and routes in MongoDB."""
