"""What a definition's report adds to outcomes: money, operators, model, drift, data, and its tables."""
