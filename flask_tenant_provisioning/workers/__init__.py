"""Workers and engines: the work that follows a commit.

`engines` starts a worker in this process or leaves the work to others, and `celery` sends it to the tasks in `tasks`.
`worker` claims and runs due work, `kinds` lists every kind of work, and `maintenance` purges, erases and removes what
has expired.
"""

from __future__ import annotations
