"""The plant: its assets and variables, their trends, and imports of readings from files."""
