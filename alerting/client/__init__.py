"""Typed client of the API: `Client` has one method for each operation.

    with Client("https://alerting.plant.example", token) as client:
        for episode in client.iterate_episodes(open=True):
            print(episode["message"])

It imports nothing else of the platform, and needs httpx alone.
"""

from alerting.client.client import Client
from alerting.client.errors import ApiProblem, ClientError, FaultOfCall, NoAnswer

__all__ = ["ApiProblem", "Client", "ClientError", "FaultOfCall", "NoAnswer"]
