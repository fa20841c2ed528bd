"""Tenants: what a partner provisions."""
