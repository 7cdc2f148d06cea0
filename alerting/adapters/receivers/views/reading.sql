SELECT at, asset, variable, value, text, low_limit, high_limit FROM {readings} AS measured
