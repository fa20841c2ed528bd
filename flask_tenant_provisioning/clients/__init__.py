"""API clients: the credentials with which a partner's programs get access tokens from this API."""
