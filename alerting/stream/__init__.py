"""The stream service: subscriptions of sources whose messages are stored and evaluated at once."""
