"""Partners: who may call."""
