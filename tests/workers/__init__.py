"""Work after a commit: workers, engines, steps, maintenance."""
