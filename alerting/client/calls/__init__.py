"""Methods of the client, by subject. Made by `python -m tools.client`."""
