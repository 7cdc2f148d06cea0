"""Kind `forecast`: a variable's value ahead, as a distribution; it will leave its limits."""
