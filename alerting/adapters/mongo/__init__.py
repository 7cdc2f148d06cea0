"""The connection to MongoDB, what is done with the database as a whole, and the server that runs on
this machine with the platform."""
