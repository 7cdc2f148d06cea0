"""Apprise in a process of its own, whose way out is a proxy that applies the egress rule."""
