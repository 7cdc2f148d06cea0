"""Datasets made from readings: rows, labels, split, quality findings and leak suspects."""
