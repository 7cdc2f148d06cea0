"""Episodes: lists, outcomes, suppression."""
