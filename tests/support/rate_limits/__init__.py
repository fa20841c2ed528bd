"""Rate limits under a clock of the test's."""
