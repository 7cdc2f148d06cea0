"""A kind with a model of its own, in one folder outside of the package: a variable is unlike its
usual values."""
