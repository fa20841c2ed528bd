"""Whether the service does its work."""
