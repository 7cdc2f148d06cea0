"""The ports on MongoDB: connection, documents, collections and indexes."""
