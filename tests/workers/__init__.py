"""What follows a commit: workers, engines, steps, maintenance."""
