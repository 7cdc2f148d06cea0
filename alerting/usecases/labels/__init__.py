"""Labels of times by people: made, undone, and laid over readings."""
