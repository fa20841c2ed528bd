"""Bulk provisioning: many tenants by one upload."""
