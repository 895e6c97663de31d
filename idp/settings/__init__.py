"""Settings: what they are, the file and the environment that they come from, and what the data folder remembers."""

from idp.settings.fields import CLOCK_LEEWAY, SESSION_TOKEN_LIFETIME, TOKEN_LIFETIME
from idp.settings.file import NAME, VARIABLE, SettingsError, places
from idp.settings.last_served import recall, remember
from idp.settings.load import Settings
from idp.settings.sources import Origin, Source

__all__ = [
    "CLOCK_LEEWAY",
    "NAME",
    "SESSION_TOKEN_LIFETIME",
    "TOKEN_LIFETIME",
    "VARIABLE",
    "Origin",
    "Settings",
    "SettingsError",
    "Source",
    "places",
    "recall",
    "remember",
]
