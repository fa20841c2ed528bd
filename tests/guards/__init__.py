"""Checks of the repository itself, run by `.ci/run`: each prints what it finds, and fails if it finds anything."""
