"""Pages and API of mutes."""
