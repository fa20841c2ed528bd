"""The tenant of Celery tasks: sent in a header of the message, and current while the task runs.

A task has the tenant of its message and never that of the task before it: `task_prerun` opens a scope for each task, of
no tenant if the header is absent, and `task_postrun` closes it.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from celery import Celery, signals

from .context import enter_task, find_scope, leave_task

#: Header of a message with the id of its tenant, by the name of the mount.
HEADER = "flask_tenant_provisioning_tenants"


def carry_tenant(celery: Celery, mount_name: str) -> None:
    """Connect Celery's signals for the tasks of `celery`. A second call for the same mount changes nothing."""
    carrier = TenantCarrier(celery, mount_name)
    key = f"{__name__}:{mount_name}:{id(celery)}"
    signals.before_task_publish.connect(carrier.before_publish, weak=False, dispatch_uid=key)
    signals.task_prerun.connect(carrier.before_run, weak=False, dispatch_uid=key)
    signals.task_postrun.connect(carrier.after_run, weak=False, dispatch_uid=key)


class TenantCarrier:
    """Puts the current tenant into the messages of one Celery app, and takes it out in the workers."""

    def __init__(self, celery: Celery, mount_name: str) -> None:
        self._celery = celery
        self._mount_name = mount_name

    def before_publish(self, headers: MutableMapping[str, Any] | None = None, **_: Any) -> None:
        """Write the current tenant's id into the headers, or remove another one from those of a task sent again."""
        if headers is None:
            return
        scope, sent = find_scope(), headers.get(HEADER)
        tenants = {**sent} if isinstance(sent, Mapping) else {}
        tenants.pop(self._mount_name, None)
        if scope is not None and scope.tenant_id is not None and scope.mount_name == self._mount_name:
            tenants[self._mount_name] = scope.tenant_id
        if tenants or sent is not None:
            headers[HEADER] = tenants

    def before_run(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        """Open the scope of a task."""
        if task is None or task.app is not self._celery:
            return
        if task.request.is_eager:
            scope = find_scope()  # it runs in place of its sender
            is_own = scope is not None and scope.mount_name == self._mount_name
            tenant_id = scope.tenant_id if scope is not None and is_own else None
        else:
            tenants = task.request.get(HEADER)
            value = tenants.get(self._mount_name) if isinstance(tenants, Mapping) else None
            tenant_id = value if isinstance(value, str) else None
        enter_task(self._mount_name, task_id, tenant_id, is_eager=bool(task.request.is_eager))

    def after_run(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        """Close the scope of a task."""
        if task is not None and task.app is self._celery:
            leave_task(self._mount_name, task_id)
