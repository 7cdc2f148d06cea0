"""Kind `threshold`: a variable leaves its limits."""
