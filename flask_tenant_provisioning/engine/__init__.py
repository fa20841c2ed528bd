"""Who does what follows a commit, and when."""
