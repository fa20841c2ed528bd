"""Webhooks: what has happened, told to the partners' own servers."""
