"""Databases for tests, and what a test reads and writes in them past the API."""
