"""Source documents: where readings and events come from."""
