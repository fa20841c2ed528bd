"""How a host registers what is its own: on the extension, before or after `init_app`."""

from __future__ import annotations

from ..hooks import Hooks
from .declaring import Declaring
from .durable import Durable
from .taking_part import TakingPart


class Registration(TakingPart, Durable, Declaring):
    """What `TenantProvisioning` offers a host beside `init_app`."""

    def __init__(self) -> None:
        self.hooks = Hooks()
