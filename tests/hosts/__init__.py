"""The extension in host apps of many kinds: what it leaves alone, and where it is mounted."""
