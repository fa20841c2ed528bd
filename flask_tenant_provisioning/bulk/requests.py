"""What the routes of bulk jobs have in common: whose job is meant, what its rows need, and how it is answered."""

from __future__ import annotations

from functools import partial

from ..problems import BulkJobNotFound
from ..tenants import usage
from ..web.call import Call
from ..web.requests import fence, identified
from ..web.writing import Answer
from . import actions, documents
from .actions import Seen

JOBS = "/bulk-jobs"
JOB = f"{JOBS}/<job_id>"

#: What a caller needs beside `bulk:create`, since each row stands for a call.
NEEDED = {
    "create": ("tenant:create",),
    "upsert": ("tenant:create", "tenant:update"),
    "update": ("tenant:update",),
    "suspend": ("tenant:update",),
    "reactivate": ("tenant:update",),
    "delete": ("tenant:delete",),
}


def named(job_id: str) -> str:
    """A job's id in its canonical form. Raises `BulkJobNotFound` for what cannot be one."""
    return identified(job_id, BulkJobNotFound)


def seen(call: Call, job_id: str) -> Seen:
    """The job that this call means, as it is now. Raises `BulkJobNotFound`."""
    return call.mount.storage.read(partial(actions.read, partner=fence(call), job_id=named(job_id)))


def require_rights(call: Call, operation: str) -> None:
    """Raise `Forbidden` where the caller may not do what each row does; `LicenseExpired` where nobody may."""
    call.require(*NEEDED[operation])
    if "tenant:create" in NEEDED[operation]:
        usage.allowance(call.mount).license.require_provisioning()


def shown(found: Seen) -> Answer:
    """The answer that shows a job."""
    return Answer(200, documents.job(found), {})


def begun(call: Call, found: Seen) -> Answer:
    """The answer that shows a job to be done, and says where to look how far it is."""
    headers = {"Location": f"{call.mount.base()}{JOBS}/{found.job.id}", "Retry-After": "1"}
    return Answer(202, documents.job(found), headers)
