"""Tables of text cells in files: CSV and Parquet."""
