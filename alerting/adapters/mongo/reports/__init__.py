"""Reports and backtests in MongoDB."""
