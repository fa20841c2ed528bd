"""The isolated mount: a private Flask app that serves the API before anything of the host's runs."""

from .entrance import Isolated as Isolated
from .private import PrivateApp as PrivateApp
