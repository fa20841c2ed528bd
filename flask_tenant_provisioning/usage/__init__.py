"""How much of what it may have each partner uses."""
