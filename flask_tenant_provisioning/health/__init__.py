"""Health: whether the service is alive and ready, how far its workers are behind, and its metrics.

`backlog` counts the work that waits, `readiness` looks at the database, `gauges` reads both for the metrics.
"""
