"""What a definition's report measures and concludes: outcomes, money, operators, model, data."""
