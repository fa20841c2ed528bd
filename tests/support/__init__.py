"""What the tests share: hosts, callers, servers, brokers, and checks of what the API returns."""
