"""Datasets, training and promotion."""
