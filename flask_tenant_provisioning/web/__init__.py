"""HTTP that no feature owns: strict JSON, validation, cursors, preconditions, and how a route is declared."""
