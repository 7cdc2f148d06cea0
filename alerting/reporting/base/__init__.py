"""What every part of the reports stands on: estimates, scores, sentences, tables, templates."""
