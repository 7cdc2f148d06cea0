"""ISA-18.2 operator states, and mutes."""
