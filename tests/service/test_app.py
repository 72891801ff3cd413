import subprocess
import sys
from pathlib import Path

FORBIDDEN = ("torch", "numpy", "captum", "lime", "matplotlib", "PIL", "workers", "lamina")
SERVE_ONCE = f"""
import sys
from service.app import create_app
from service.catalog import Catalog
from service.settings import Settings
from service.store.migrate import upgrade

settings = Settings.from_environment()
upgrade(settings.database_url)
client = create_app(settings, catalog=Catalog({{}})).test_client()
assert client.get("/healthz").status_code == 200
assert client.get("/readyz").status_code == 200
assert client.get("/docs").status_code == 200
assert client.get("/v1/audits").status_code == 401
print(sorted(name for name in {FORBIDDEN!r} if name in sys.modules))
"""


def test_a_clean_interpreter_serves_requests_without_anything_numerical(tmp_path: Path) -> None:
    environment = {
        "LAMINA_DATABASE_URL": f"sqlite:///{tmp_path}/lamina.db",
        "LAMINA_BLOBS": str(tmp_path / "blobs"),
        "LAMINA_BROKER_URL": "redis+socket:///nowhere/broker.sock",
        "LAMINA_SCRATCH": str(tmp_path / "scratch"),
    }

    done = subprocess.run(
        [sys.executable, "-c", SERVE_ONCE], env=environment, capture_output=True, text=True, timeout=240, check=False
    )

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
