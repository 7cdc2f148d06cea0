"""A server of OPC UA alarms and conditions (Part 9), which control systems subscribe to."""
