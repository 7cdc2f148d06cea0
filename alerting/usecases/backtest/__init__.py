"""What a definition would have raised."""
