"""Who calls, and what they may do."""

from .guard import PUBLIC as PUBLIC, Guard as Guard, current_principal as current_principal, requires as requires
from .principal import Actor as Actor, Principal as Principal
