"""A kind of alert in one folder outside of the package: two variables that should be equal drift
apart."""
