"""The platform on one machine: starts its parts, watches over them, and stops them in order."""
