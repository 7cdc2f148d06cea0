SELECT at, definition, asset, score, limit_value, model_version FROM {scores} AS scored
