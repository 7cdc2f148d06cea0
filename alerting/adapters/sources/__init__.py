"""Readers of polled sources, and subscriptions of streamed sources."""
