"""OpenAPI links: the operations that a reader of a response may want next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import PreconditionFailed
from ..web.routing import PATH_PARAMETER, Route
from .schemas import find_document_schema, get_component_name


def list_path_parameters(route: Route) -> list[str]:
    """Return the names of the parameters in the route's path."""
    return PATH_PARAMETER.findall(route.rule)


#: The operations that follow each operation, at most four, since Swagger UI shows each link at length.
_FOLLOWING: Mapping[str, tuple[str, ...]] = {
    "create_tenant": ("read_tenant", "patch_tenant", "read_provisioning", "delete_tenant"),
    "read_tenant": ("patch_tenant", "suspend_tenant", "delete_tenant", "read_settings"),
    "patch_tenant": ("read_tenant", "patch_tenant", "suspend_tenant", "delete_tenant"),
    "replace_tenant": ("read_tenant", "patch_tenant", "suspend_tenant", "delete_tenant"),
    "upsert_tenant": ("read_tenant", "patch_tenant", "read_provisioning", "delete_tenant"),
    "suspend_tenant": ("reactivate_tenant", "read_tenant", "delete_tenant"),
    "reactivate_tenant": ("read_tenant", "suspend_tenant", "patch_tenant"),
    "delete_tenant": ("restore_tenant", "read_tenant"),
    "restore_tenant": ("read_tenant", "delete_tenant"),
    "move_tenant": ("read_tenant",),
    "read_provisioning": ("retry_provisioning", "cancel_provisioning", "read_tenant"),
    "retry_provisioning": ("read_provisioning", "cancel_provisioning"),
    "cancel_provisioning": ("read_provisioning", "retry_provisioning"),
    "create_invitation": ("read_invitation", "resend_invitation", "revoke_invitation"),
    "read_invitation": ("resend_invitation", "revoke_invitation"),
    "resend_invitation": ("read_invitation", "revoke_invitation"),
    "revoke_invitation": ("read_invitation", "resend_invitation"),
    "create_bulk_job": ("read_bulk_job", "follow_bulk_job", "list_bulk_items", "cancel_bulk_job"),
    "read_bulk_job": ("follow_bulk_job", "list_bulk_items", "cancel_bulk_job", "resume_bulk_job"),
    "cancel_bulk_job": ("read_bulk_job", "list_bulk_items", "resume_bulk_job"),
    "resume_bulk_job": ("read_bulk_job", "follow_bulk_job", "cancel_bulk_job"),
    "create_webhook": ("read_webhook", "test_webhook", "list_deliveries", "delete_webhook"),
    "read_webhook": ("patch_webhook", "test_webhook", "rotate_webhook_secret", "list_deliveries"),
    "patch_webhook": ("read_webhook", "test_webhook", "list_deliveries"),
    "rotate_webhook_secret": ("read_webhook", "test_webhook"),
    "test_webhook": ("read_delivery",),
    "recover_webhook": ("list_deliveries", "read_webhook"),
    "read_delivery": ("redeliver_delivery", "read_webhook"),
    "redeliver_delivery": ("read_delivery",),
    "read_partner": ("patch_partner", "read_partner_settings"),
    "put_partner": ("read_partner", "patch_partner", "read_partner_settings"),
    "patch_partner": ("read_partner", "read_partner_settings"),
}
_RESPONSE_BODY = "$response.body#/"
_NEXT_PAGE_DESCRIPTION = "The next page. Repeat the same filters and sort. `next` is null on the last page."
_NEXT_EVENTS_DESCRIPTION = "The following events: available now if `has_more` is true, otherwise later."


def build_link_references(route: Route, response: Any, routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """Build references to the links of one response of `route`, by the operation that each leads to."""
    names = {target: get_link_name(response, target) for target in _collect_links(route, response, routes)}
    return {target: {"$ref": f"#/components/links/{name}"} for target, name in names.items()}


def build_links(routes: Sequence[Route]) -> dict[str, dict[str, Any]]:
    """Build the Link Objects of all responses of these routes, by component name."""
    links = {}
    for route in routes:
        for response in route.responses.values():
            for target, link in _collect_links(route, response, routes).items():
                links[get_link_name(response, target)] = link
    return links


def get_link_name(response: Any, target: str) -> str:
    """Return the component name of the link from this kind of response to the operation `target`."""
    words = "".join(word.capitalize() for word in target.split("_"))
    return f"{get_component_name(find_document_schema(response))}To{words}"


def _collect_links(route: Route, response: Any, routes: Iterable[Route]) -> dict[str, dict[str, Any]]:
    """Build one Link Object per target operation; none for a response without a schema."""
    document = find_document_schema(response)
    if document is None:
        return {}
    fields = document._declared_fields
    targets = {other.endpoint: other for other in routes}
    followers = [targets[name] for name in _FOLLOWING.get(route.endpoint, ()) if name in targets]
    links = {target.endpoint: _build_link(target, fields) for target in followers}
    return {target: link for target, link in links.items() if link} | _build_next_page_link(route, fields)


def _build_link(target: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Build the link to `target`; empty if the response's `fields` do not provide all of its path parameters."""
    sources = {name: _find_source(name, fields) for name in list_path_parameters(target)}
    if not sources or not all(sources.values()):
        return {}
    conditions = {"If-Match": "$response.header.ETag"} if _is_conditional(target, fields) else {}
    return {"operationId": target.endpoint, "parameters": {**sources, **conditions}}


def _find_source(parameter: str, fields: Mapping[str, Any]) -> str:
    """Return the runtime expression for a path parameter: the field of its name, with or without ``_id``."""
    for name in (parameter, parameter.removesuffix("_id")):
        if name in fields:
            return f"{_RESPONSE_BODY}{name}"
    return ""


def _is_conditional(target: Route, fields: Mapping[str, Any]) -> bool:
    """Return whether `target` changes the resource whose version `fields` show."""
    return "version" in fields and PreconditionFailed in target.problems


def _build_next_page_link(route: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Build the link to the next page of a list or of a feed."""
    if "next" not in fields or route.query is None:
        return {}
    cursor, description = "cursor", _NEXT_PAGE_DESCRIPTION
    if "has_more" in fields:
        cursor, description = "after", _NEXT_EVENTS_DESCRIPTION
    page = {"operationId": route.endpoint, "description": description, "parameters": {cursor: f"{_RESPONSE_BODY}next"}}
    return {route.endpoint: page}
