"""Alarm load: the budget of alarms, expected load of new definitions, alarm metrics of the
plant."""
