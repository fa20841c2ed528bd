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
