"""The stores in MongoDB, a class each."""
