"""Groups of fields that definitions are made of."""
