"""The page of the plant in figures, for those who answer for it, and its part of the API."""
