"""The documentation and the examples, executed."""
