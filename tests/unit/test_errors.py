"""The tree of errors that is drawn at the top of their module."""

from __future__ import annotations

import re

from flask_tenant_provisioning import errors

CODES_COLUMN = 28


def test_tree_has_every_code_in_order_and_each_branch_its_own() -> None:
    tree = (errors.__doc__ or "").split("\n\n")[-1].splitlines()
    drawn = re.findall(r"[a-z-]+", " ".join(line[CODES_COLUMN:] for line in tree))
    assert drawn == [kind.code for kind in errors.iter_problem_classes()]
    branches = re.findall(r"(\w+) +([a-z-]+)", "\n".join(tree))
    assert len(branches) == 12
    assert dict(branches) == {name: getattr(errors, name).code for name, _ in branches}


def test_each_problem_names_who_can_mend_it() -> None:
    for kind in errors.iter_problem_classes():
        lineage = kind.__mro__[: kind.__mro__.index(errors.ProvisioningError)] or (kind,)
        assert any("mended_by" in vars(parent) for parent in lineage), f"{kind.__name__} falls back to the root's"
        assert kind.mended_by == tuple(errors.Mender(mender) for mender in kind.mended_by) != ()
        assert len(set(kind.mended_by)) == len(kind.mended_by)
