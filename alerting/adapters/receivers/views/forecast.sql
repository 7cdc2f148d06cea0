SELECT
    at, definition, asset, ahead_s, {expected_at} AS expected_at,
    low, "median", high, model_version
FROM {forecasts} AS predicted
