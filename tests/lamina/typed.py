"""The command as a test types it."""

from pathlib import Path

from typer.testing import CliRunner, Result

from lamina.cli import app


def lamina(*words: str | Path) -> Result:
    """Run `lamina WORDS` in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])
