"""Who is notified, when, by which stages."""
