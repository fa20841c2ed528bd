"""Hosts with steps, and the brokers of those with Celery."""
