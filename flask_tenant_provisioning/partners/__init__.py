"""Partners: who may call, and how much they may have."""
