from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.webhook_disabled_reason_type_0 import WebhookDisabledReasonType0, check_webhook_disabled_reason_type_0
from ..models.webhook_signing import WebhookSigning, check_webhook_signing

T = TypeVar("T", bound="Webhook")


@_attrs_frozen(kw_only=True)
class Webhook:
    """A webhook endpoint of a partner. `disabled_reason` is null unless the endpoint was disabled automatically.

    Attributes:
        webhook (str): The id of the endpoint.
        partner (str): The partner to whom the endpoint belongs.
        url (str): The URL that events are sent to by `POST`. 2048 characters at most.
        description (None | str): What the endpoint is for, in your own words; null for nothing. 255 characters at
            most.
        events (list[str]): Which events are sent: 1 to 50 types, or globs with `*` for any part. By default all,
            except changes of endpoints.
        signing (WebhookSigning): The signature scheme: `v1` is HMAC-SHA256 with a shared secret, `v1a` is Ed25519
            with a public key. By default `v1`.
        enabled (bool): Whether events are sent. By default true.
        disabled_reason (None | WebhookDisabledReasonType0):
        failing_since (datetime.datetime | None): The time since which every attempt has failed; null if the last
            one succeeded.
        public_key (None | str): The public key that verifies `v1a` signatures; null for `v1`.
        version (int): The number of the endpoint's current version, from 1, raised by each change. `ETag` has it in
            quotes.
        created_at (datetime.datetime): The time of the creation.
        updated_at (datetime.datetime): The time of the last change.
    """

    webhook: str
    partner: str
    url: str
    description: None | str
    events: list[str]
    signing: WebhookSigning
    enabled: bool
    disabled_reason: None | WebhookDisabledReasonType0
    failing_since: datetime.datetime | None
    public_key: None | str
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        webhook = self.webhook
        partner = self.partner
        url = self.url
        description: None | str
        description = self.description
        events = self.events

        signing: str = self.signing
        enabled = self.enabled
        disabled_reason: None | str
        if isinstance(self.disabled_reason, str):
            disabled_reason = self.disabled_reason
        else:
            disabled_reason = self.disabled_reason
        failing_since: None | str
        if isinstance(self.failing_since, datetime.datetime):
            failing_since = self.failing_since.isoformat()
        else:
            failing_since = self.failing_since
        public_key: None | str
        public_key = self.public_key
        version = self.version
        created_at = self.created_at.isoformat()
        updated_at = self.updated_at.isoformat()
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["webhook"] = webhook
        field_dict["partner"] = partner
        field_dict["url"] = url
        field_dict["description"] = description
        field_dict["events"] = events
        field_dict["signing"] = signing
        field_dict["enabled"] = enabled
        field_dict["disabled_reason"] = disabled_reason
        field_dict["failing_since"] = failing_since
        field_dict["public_key"] = public_key
        field_dict["version"] = version
        field_dict["created_at"] = created_at
        field_dict["updated_at"] = updated_at
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        d = dict(src_dict)
        webhook = d.pop("webhook")
        partner = d.pop("partner")
        url = d.pop("url")

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))

        events = cast(list[str], d.pop("events"))

        signing = check_webhook_signing(d.pop("signing"))

        enabled = d.pop("enabled")

        def _parse_disabled_reason(data: object) -> None | WebhookDisabledReasonType0:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                disabled_reason_type_0 = check_webhook_disabled_reason_type_0(data)

                return disabled_reason_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | WebhookDisabledReasonType0, data)

        disabled_reason = _parse_disabled_reason(d.pop("disabled_reason"))

        def _parse_failing_since(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                failing_since_type_0 = datetime.datetime.fromisoformat(data)

                return failing_since_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        failing_since = _parse_failing_since(d.pop("failing_since"))

        def _parse_public_key(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        public_key = _parse_public_key(d.pop("public_key"))

        version = d.pop("version")
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

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
