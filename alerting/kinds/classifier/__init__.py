"""Kind `classifier`: a model predicts whether the problem occurs within the horizon."""
