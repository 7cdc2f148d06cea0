"""Shared by kinds that predict a problem: classifier and forecast."""
