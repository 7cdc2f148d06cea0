"""Readers of files of readings, events and assets: tables of text cells in CSV and Parquet."""
