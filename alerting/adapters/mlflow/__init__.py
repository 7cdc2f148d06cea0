"""Runs, models and aliases in MLflow."""
