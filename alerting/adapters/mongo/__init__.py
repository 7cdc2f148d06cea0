"""The connection to MongoDB, operations on a whole database, and the server that runs on this
machine with the platform."""
