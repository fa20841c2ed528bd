"""Provisioning: the host's durable steps after a tenant's creation, and before its end."""
