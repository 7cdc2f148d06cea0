"""Receivers of messages: channels and sinks, and the rule for the addresses that they may reach."""
