"""Operating point, challenger, promotion."""
