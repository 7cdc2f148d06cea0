"""Receivers of messages: channels and sinks, and the rule of the addresses that they may reach."""
