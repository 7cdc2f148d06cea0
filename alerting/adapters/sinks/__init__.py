"""Receivers of sinks: brokers, web servers, databases and folders."""
