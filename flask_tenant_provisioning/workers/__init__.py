"""Workers and engines: the work that follows a commit.

`engines` brings work to a worker in this process, `celery` to the tasks in `tasks`. `worker` claims and runs what is
due, `kinds` lists every kind of work, and `maintenance` purges, erases and removes what has expired.
"""

from __future__ import annotations
