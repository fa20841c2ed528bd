"""Who calls, and what they may do."""

from .guard import Guard as Guard, PUBLIC as PUBLIC, current_principal as current_principal, requires as requires
from .principal import Actor as Actor, Principal as Principal
