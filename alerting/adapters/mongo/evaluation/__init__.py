"""What evaluation keeps in MongoDB: plans, condition states, scores, decisions, past evaluations."""
