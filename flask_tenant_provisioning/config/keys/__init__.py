"""The keys by what they are about."""
