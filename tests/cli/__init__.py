"""`flask provisioning …`."""
