"""The protocol of a kind of alert: evaluation, explanation, training, and the data that kinds
share."""
