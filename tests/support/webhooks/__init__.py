"""Senders and receivers of webhooks."""
