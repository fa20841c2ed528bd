"""Shared test support: hosts, callers, servers, brokers, and checks of what the API returns."""
