"""Which settings does a command run with? Those of the environment, or those of the stack of a home folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.failure import Usage
from lamina.home import operator_environment

if TYPE_CHECKING:
    from service.settings import Settings


def settings(environment: Mapping[str, str] | None = None) -> "Settings":
    """The LAMINA_* variables. Raises `Usage` for one that means nothing or a value that cannot be."""
    from pydantic import ValidationError

    from service.settings import PREFIX, Settings, UnknownSetting

    try:
        return Settings.from_environment(environment)
    except ValidationError as error:
        faults = [f"  {PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise Usage("these settings cannot be:\n" + "\n".join(faults)) from error
    except (UnknownSetting, OSError) as error:
        raise Usage(str(error)) from error


def operator_settings(home: Path | None) -> "Settings":
    """For a command that works on the database itself: the environment's settings, over the home folder's stack's."""
    return settings(operator_environment(home))
