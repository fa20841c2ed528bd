"""A host with fields of its own, for the tests about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask
from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Range

from flask_tenant_provisioning import TenantProvisioning
from tests.support.hosts import make_config


class AddressSchema(Schema):
    """An address."""

    city = fields.String(required=True)
    zip = fields.String(validate=Length(max=5))


class BillingSchema(Schema):
    """Fields that a billing system needs of a tenant."""

    region = fields.String(required=True, validate=OneOf(["eu", "us"]))
    seats = fields.Integer(strict=True, load_default=1, validate=Range(min=1))
    trial = fields.Boolean(allow_none=True)
    renewal = fields.Date()
    cost_center = fields.String(data_key="costCenter")
    address = fields.Nested(AddressSchema)
    contacts = fields.List(fields.Nested(AddressSchema))
    limits = fields.Dict(fields.String(validate=Length(max=3)), fields.Integer())
    score = fields.Float(allow_nan=True)
    extra = fields.Raw()
    first = fields.Integer()
    last = fields.Integer()
    badge = fields.Function(lambda values: f"{values.get('region')}/{values.get('seats')}")

    @validates_schema
    def check_order(self, data: dict[str, Any], **_options: Any) -> None:
        if "first" in data and "last" in data and data["last"] < data["first"]:
            raise ValidationError("Must not end before it begins.", "last")
        if data.get("seats") == 13:
            raise ValidationError("Thirteen is not sold.")


#: In the order in which they are declared.
NAMES = (
    "region", "seats", "trial", "renewal", "costCenter", "address", "contacts", "limits", "score", "extra",
    "first", "last", "badge",
)  # fmt: skip
NO_VALUES = dict.fromkeys(NAMES)
FILTERABLE = ("region", "seats", "trial", "renewal", "costCenter")


def make_host(
    database_url: str,
    schema: type[Schema] | None = BillingSchema,
    filterable: Sequence[str] = FILTERABLE,
    **config: Any,
) -> Flask:
    """A host app whose tenants have the fields of `schema`."""
    app, provisioning = Flask("host"), TenantProvisioning()
    app.config.update(make_config(**config))
    if schema is not None:
        provisioning.tenant_fields(schema, filterable=filterable)
    provisioning.init_app(app, database_url)
    return app
