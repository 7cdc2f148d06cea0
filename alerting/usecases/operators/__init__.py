"""Actions of operators: acknowledge, mute, give feedback, follow links."""
