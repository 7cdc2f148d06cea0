"""The connection to MongoDB, and what is done with the database as a whole."""
