"""Rate limits: how many requests each partner may send, counted by Flask-Limiter."""
