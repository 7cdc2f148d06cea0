"""The report on the whole plant: ranking of definitions, alarm metrics, faults and changes."""
