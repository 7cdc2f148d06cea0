"""Readings in Parquet files: by asset, found again by time."""
