"""Anomalies: how unlike normal operation the readings of an asset are, and which sensors make them
so."""
