"""Kind `control_chart`: statistical process control, the process has shifted."""
