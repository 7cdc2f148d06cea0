"""How good scores are, with confidence intervals."""
