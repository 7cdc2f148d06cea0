"""What operators see and do: alarms, mutes, shifts, accounts; quality and load of alarms."""
