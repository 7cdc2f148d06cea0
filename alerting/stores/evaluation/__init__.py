"""Plans, condition states, scores, decisions and past evaluations in MongoDB."""
