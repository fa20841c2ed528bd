from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.event_webhook_disabled_reason_type_0 import (
    EventWebhookDisabledReasonType0,
    check_event_webhook_disabled_reason_type_0,
)
from ..models.event_webhook_signing import EventWebhookSigning, check_event_webhook_signing
from ..types import UNSET, Unset

T = TypeVar("T", bound="EventWebhook")


@_attrs_frozen(kw_only=True)
class EventWebhook:
    """A webhook endpoint after the event. Callers without `webhook:read` see only its id; `webhook.disabled` has only
    `webhook`, `url`, `enabled` and `disabled_reason`.

        Attributes:
            webhook (str): The id of the endpoint.
            partner (str | Unset): The partner to whom the endpoint belongs.
            url (str | Unset): The URL that events are sent to by `POST`. 2048 characters at most.
            description (None | str | Unset): What the endpoint is for, in your own words; null for nothing. 255
                characters at most.
            events (list[str] | Unset): Which events are sent: 1 to 50 types, or globs with `*` for any part. By default
                all, except changes of endpoints.
            signing (EventWebhookSigning | Unset): The signature scheme: `v1` is HMAC-SHA256 with a shared secret, `v1a`
                is Ed25519 with a public key. By default `v1`.
            enabled (bool | Unset): Whether events are sent. By default true.
            disabled_reason (EventWebhookDisabledReasonType0 | None | Unset):
            failing_since (datetime.datetime | None | Unset): The time since which every attempt has failed; null if the
                last one succeeded.
            public_key (None | str | Unset): The public key that verifies `v1a` signatures; null for `v1`.
            version (int | Unset): The number of the endpoint's current version, from 1, raised by each change. `ETag`
                has it in quotes.
            created_at (datetime.datetime | Unset): The time of the creation.
            updated_at (datetime.datetime | Unset): The time of the last change.
    """

    webhook: str
    partner: str | Unset = UNSET
    url: str | Unset = UNSET
    description: None | str | Unset = UNSET
    events: list[str] | Unset = UNSET
    signing: EventWebhookSigning | Unset = UNSET
    enabled: bool | Unset = UNSET
    disabled_reason: EventWebhookDisabledReasonType0 | None | Unset = UNSET
    failing_since: datetime.datetime | None | Unset = UNSET
    public_key: None | str | Unset = UNSET
    version: int | Unset = UNSET
    created_at: datetime.datetime | Unset = UNSET
    updated_at: datetime.datetime | Unset = UNSET
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        webhook = self.webhook
        partner = self.partner
        url = self.url
        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description
        events: list[str] | Unset = UNSET
        if not isinstance(self.events, Unset):
            events = self.events

        signing: str | Unset = UNSET
        if not isinstance(self.signing, Unset):
            signing = self.signing

        enabled = self.enabled
        disabled_reason: None | str | Unset
        if isinstance(self.disabled_reason, Unset):
            disabled_reason = UNSET
        elif isinstance(self.disabled_reason, str):
            disabled_reason = self.disabled_reason
        else:
            disabled_reason = self.disabled_reason
        failing_since: None | str | Unset
        if isinstance(self.failing_since, Unset):
            failing_since = UNSET
        elif isinstance(self.failing_since, datetime.datetime):
            failing_since = self.failing_since.isoformat()
        else:
            failing_since = self.failing_since
        public_key: None | str | Unset
        if isinstance(self.public_key, Unset):
            public_key = UNSET
        else:
            public_key = self.public_key
        version = self.version
        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()
        updated_at: str | Unset = UNSET
        if not isinstance(self.updated_at, Unset):
            updated_at = self.updated_at.isoformat()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["webhook"] = webhook
        if partner is not UNSET:
            field_dict["partner"] = partner
        if url is not UNSET:
            field_dict["url"] = url
        if description is not UNSET:
            field_dict["description"] = description
        if events is not UNSET:
            field_dict["events"] = events
        if signing is not UNSET:
            field_dict["signing"] = signing
        if enabled is not UNSET:
            field_dict["enabled"] = enabled
        if disabled_reason is not UNSET:
            field_dict["disabled_reason"] = disabled_reason
        if failing_since is not UNSET:
            field_dict["failing_since"] = failing_since
        if public_key is not UNSET:
            field_dict["public_key"] = public_key
        if version is not UNSET:
            field_dict["version"] = version
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if updated_at is not UNSET:
            field_dict["updated_at"] = updated_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        webhook = d.pop("webhook")
        partner = d.pop("partner", UNSET)
        url = d.pop("url", UNSET)

        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))

        events = cast(list[str], d.pop("events", UNSET))

        _signing = d.pop("signing", UNSET)
        signing: EventWebhookSigning | Unset
        if isinstance(_signing, Unset):
            signing = UNSET
        else:
            signing = check_event_webhook_signing(_signing)

        enabled = d.pop("enabled", UNSET)

        def _parse_disabled_reason(data: object) -> EventWebhookDisabledReasonType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                disabled_reason_type_0 = check_event_webhook_disabled_reason_type_0(data)

                return disabled_reason_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(EventWebhookDisabledReasonType0 | None | Unset, data)

        disabled_reason = _parse_disabled_reason(d.pop("disabled_reason", UNSET))

        def _parse_failing_since(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                failing_since_type_0 = datetime.datetime.fromisoformat(data)

                return failing_since_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        failing_since = _parse_failing_since(d.pop("failing_since", UNSET))

        def _parse_public_key(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        public_key = _parse_public_key(d.pop("public_key", UNSET))

        version = d.pop("version", UNSET)
        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = datetime.datetime.fromisoformat(_created_at)

        _updated_at = d.pop("updated_at", UNSET)
        updated_at: datetime.datetime | Unset
        if isinstance(_updated_at, Unset):
            updated_at = UNSET
        else:
            updated_at = datetime.datetime.fromisoformat(_updated_at)

        additional_properties = d
        return cls(
            webhook=webhook,
            partner=partner,
            url=url,
            description=description,
            events=events,
            signing=signing,
            enabled=enabled,
            disabled_reason=disabled_reason,
            failing_since=failing_since,
            public_key=public_key,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
