"""Pages and API of silences and maintenance."""
