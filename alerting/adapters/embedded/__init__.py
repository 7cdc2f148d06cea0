"""The MongoDB server that runs on this machine with the platform."""
