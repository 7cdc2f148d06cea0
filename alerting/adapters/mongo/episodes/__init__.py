"""Episodes and what people do with them in MongoDB."""
