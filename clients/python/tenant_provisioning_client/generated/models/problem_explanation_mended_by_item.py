from typing import Literal

ProblemExplanationMendedByItem = Literal["operator", "partner", "partner-administrator"] | str


def check_problem_explanation_mended_by_item(value: str) -> ProblemExplanationMendedByItem:
    """Return `value`, also one that this version does not know."""
    return value
