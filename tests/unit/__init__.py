"""Modules of the package, each for itself."""
