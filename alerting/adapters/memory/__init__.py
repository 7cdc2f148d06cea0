"""In-memory stores for the sandbox of a backtest.

They hold the same contracts as the stores in MongoDB, for one process at a time; nothing survives
it.
"""
