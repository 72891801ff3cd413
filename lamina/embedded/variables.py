"""What are the supervisor's children told, and who decides it: the stack, the operator's environment or the home?"""

from collections.abc import Mapping

VARIABLES = {
    "database_url": "LAMINA_DATABASE_URL",
    "broker_url": "LAMINA_BROKER_URL",
    "blobs": "LAMINA_BLOBS",
    "scratch": "LAMINA_SCRATCH",
    "host": "LAMINA_HOST",
    "port": "LAMINA_PORT",
    "cursor_key": "LAMINA_CURSOR_KEY_FILE",
    "queues": "LAMINA_QUEUES",
    "device": "LAMINA_DEVICE",
}
"""What the supervisor tells its children, by the names of `service.settings`."""

_PREFIX = "LAMINA_"
_OF_CLIENTS = frozenset({"LAMINA_URL", "LAMINA_API_KEY"})


def told(decided: Mapping[str, str], places: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """LAMINA_* variables: `decided` settings hold, then those of `environment`, then `places` for what is left open.

    A client's address and key are no business of the service and are left out.
    """
    inherited = {
        variable: value
        for variable, value in environment.items()
        if variable.startswith(_PREFIX) and variable not in _OF_CLIENTS and _setting(variable) not in decided
    }
    said = {_setting(variable) for variable in inherited}
    open_places = {VARIABLES[name]: value for name, value in places.items() if name not in said}
    return open_places | inherited | {VARIABLES[name]: value for name, value in decided.items()}


def others(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are not Lamina's own."""
    return {variable: value for variable, value in environment.items() if not variable.startswith(_PREFIX)}


def _setting(variable: str) -> str:
    """The setting a variable sets: NAME_FILE reads NAME from a file."""
    return variable.removeprefix(_PREFIX).removesuffix("_FILE").lower()
