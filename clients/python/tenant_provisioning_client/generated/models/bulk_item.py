from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import field as _attrs_field, frozen as _attrs_frozen

from ..models.bulk_item_state import BulkItemState, check_bulk_item_state

if TYPE_CHECKING:
    from ..models.row_problem import RowProblem


T = TypeVar("T", bound="BulkItem")


@_attrs_frozen(kw_only=True)
class BulkItem:
    """The result of a row. `status` is the status of the equivalent single call, null for a skipped row.

    Attributes:
        row (int): The number of the row, counted from 1.
        state (BulkItemState): The result of the row.
        status (int | None): The HTTP status of the equivalent single call; null for a skipped row.
        tenant (None | str): The id of the tenant; null if there is none.
        external_id (None | str): The external id of the row or its tenant; null if there is none.
        problem (None | RowProblem): Why the row failed; null if it did not.
    """

    row: int
    state: BulkItemState
    status: int | None
    tenant: None | str
    external_id: None | str
    problem: None | RowProblem
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        from ..models.row_problem import RowProblem  # noqa: PLC0415

        row = self.row
        state: str = self.state
        status: int | None
        status = self.status
        tenant: None | str
        tenant = self.tenant
        external_id: None | str
        external_id = self.external_id
        problem: dict[str, Any] | None
        if isinstance(self.problem, RowProblem):
            problem = self.problem.to_dict()
        else:
            problem = self.problem
        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict["row"] = row
        field_dict["state"] = state
        field_dict["status"] = status
        field_dict["tenant"] = tenant
        field_dict["external_id"] = external_id
        field_dict["problem"] = problem
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        """Make it of a JSON object. Raises `KeyError`, `TypeError` or `ValueError` if that is another document."""
        from ..models.row_problem import RowProblem  # noqa: PLC0415

        d = dict(src_dict)
        row = d.pop("row")
        state = check_bulk_item_state(d.pop("state"))

        def _parse_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        status = _parse_status(d.pop("status"))

        def _parse_tenant(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        tenant = _parse_tenant(d.pop("tenant"))

        def _parse_external_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        external_id = _parse_external_id(d.pop("external_id"))

        def _parse_problem(data: object) -> None | RowProblem:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                problem_type_0 = RowProblem.from_dict(data)

                return problem_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RowProblem, data)

        problem = _parse_problem(d.pop("problem"))

        additional_properties = d
        return cls(
            row=row,
            state=state,
            status=status,
            tenant=tenant,
            external_id=external_id,
            problem=problem,
            additional_properties=additional_properties,
        )

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
