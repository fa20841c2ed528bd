"""Shared storm support: a server that can be killed, clients that record every response, a database to stop."""
