"""Access: people, tokens of programs, sessions of browsers."""
