"""Channels that deliver messages, and the rule of the addresses that they may reach."""
