"""In-memory adapters of the stores: for the sandbox of a backtest and for tests.

They hold the same contracts as the stores in MongoDB, for one process at a time; nothing survives
it.
"""
