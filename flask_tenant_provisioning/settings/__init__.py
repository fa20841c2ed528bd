"""Settings: what tenants are set to, by namespaces that the host declares."""
