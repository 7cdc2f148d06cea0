"""Deliver messages: e-mail, webhook, Apprise, the log; and the rule of where they may go."""
