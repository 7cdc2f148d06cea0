"""Kind `forecast`: the value of a variable ahead, with its distribution; it will leave its
limits."""
