"""Where the API is mounted, what requests it takes, and what it tells of itself."""

from __future__ import annotations

from ..checks import choice, flag, matching, number, or_none, text
from ..declaring import key


class MountKeys:
    """The mount itself."""

    edition: str = key(
        "enterprise",
        "`enterprise` mounts the API where the licence allows it; `community` mounts nothing.",
        choice("enterprise", "community"),
    )
    url_prefix: str = key(
        "/api/provisioning",
        "Where the API is mounted.",
        matching(r"(/[A-Za-z0-9._~-]+)+", "a path such as '/api/provisioning', without a slash at its end"),
    )
    mount: str = key(
        "blueprint",
        "`blueprint`: the API is a part of the app, whose hooks run for it. `isolated`: a private app serves it behind "
        "the prefix, and nothing of the app's comes between.",
        choice("blueprint", "isolated"),
    )
    max_body_bytes: int = key(1024 * 1024, "The largest request body, in bytes.", number(1024, 1 << 30))
    body_seconds: int = key(10, "How many seconds a request body may take to arrive; 408 after that.", number(1, 3600))
    server_threads: int | None = key(
        None,
        "How many threads each process of the host's server has, such as gunicorn's `--threads`. Long requests (slow "
        "bodies, uploads, progress streams, downloads) may hold fewer than half of them. waitress is asked by itself.",
        or_none(number(1, 100_000)),
    )
    long_requests: int | None = key(
        None,
        "How many long requests one process serves at a time; 503 `server-busy` beyond. By default fewer than half of "
        "the server's threads, or 3 where their number is unknown.",
        or_none(number(1, 100_000)),
    )
    long_requests_per_partner: int | None = key(
        None,
        "How many of these one partner may have at a time; 429 `too-many-long-requests` beyond. By default half of "
        "them, rounded up.",
        or_none(number(1, 100_000)),
    )
    require_if_match: bool = key(
        False, "Demand `If-Match` on every write to a tenant that exists (428 without it).", flag
    )
    idempotency_hours: int = key(24, "Hours for which an `Idempotency-Key` and its answer are kept.", number(1, 8760))
    request_id_key: str = key(
        "request_id",
        "Where the app keeps its own id of a request, as an attribute of `g` or a key of the WSGI environ; the API's "
        "answers, events and log then bear it.",
        text,
    )
    problem_base_uri: str | None = key(
        None, "What `type` of a problem begins with; by default the mount's own `/problems/`.", text
    )
    public_docs: bool = key(
        True, "`False` asks `tenant:read` for `/openapi.json`, `/docs` and `/problems/{code}`.", flag
    )
