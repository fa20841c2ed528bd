"""The client, and a module for each kind of resource."""
