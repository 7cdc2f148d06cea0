"""Channels that deliver messages (e-mail, webhook, Apprise, log), and the rule of the addresses
that they may reach."""
