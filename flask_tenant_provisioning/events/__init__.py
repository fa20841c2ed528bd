"""What has happened to tenants: at once the outbox, the feed and the audit trail."""

from .actions import compact as compact, event as event, record as record
