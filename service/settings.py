"""How is this process configured? Read once from LAMINA_* variables, typed, frozen; the unknown is refused."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.contracts.alerts import MAIL_ADDRESS

PREFIX = "LAMINA_"
# Read by the command or by tests, not by the service: known, so that a typing error elsewhere is still noticed.
ELSEWHERE = frozenset({"LAMINA_API_KEY", "LAMINA_URL", "LAMINA_TEST_DATA", "LAMINA_HOME", "LAMINA_POSTGRES"})


class UnknownSetting(ValueError):
    """A LAMINA_* variable that means nothing; most likely a misspelling."""


class Settings(BaseModel):
    """Every setting of the service. `LAMINA_DATABASE_URL` sets `database_url`, and so on; NAME_FILE reads a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: str = Field(
        "sqlite:///.lamina/lamina.db", description="SQLAlchemy URL; SQLite or Postgres (psycopg)."
    )
    broker_url: str = Field(
        "redis://127.0.0.1:6379/0", description="Celery broker URL; redis:// or redis+socket:///PATH?virtual_host=0."
    )
    blobs: str = Field(".lamina/blobs", description="Folder or fsspec URL where blobs are kept.")
    scratch: Path = Field(Path(".lamina/scratch"), description="Folder for the scratch of sandboxed children.")
    cursor_key: str = Field(
        "", description="Secret that signs cursors; empty: one is made and kept in the database folder's `secrets`."
    )
    signing_key: str = Field(
        "", description="Ed25519 private key (PEM) that signs the log and reports; empty: one is made beside the data."
    )
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8321, description="Port the API listens on; 0 takes a free one."
    )
    http_threads: Annotated[int, Field(ge=1, le=256)] = Field(8, description="Request threads of the API.")

    body_bytes: Annotated[int, Field(ge=1024)] = Field(1_048_576, description="Largest JSON body.")
    blob_bytes: Annotated[int, Field(ge=1024)] = Field(2_147_483_648, description="Largest single blob.")
    tenant_bytes: Annotated[int, Field(ge=1024)] = Field(21_474_836_480, description="Stored bytes a tenant may hold.")
    tenant_open_work: Annotated[int, Field(ge=1)] = Field(200, description="Open analyses a tenant may have.")
    tenant_in_flight: Annotated[int, Field(ge=1)] = Field(
        4, description="Work of one tenant released to workers at a time."
    )
    analyses_per_audit: Annotated[int, Field(ge=1, le=64)] = Field(32, description="Most analyses in one audit.")

    lease_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="How long a claim holds without a heartbeat."
    )
    max_attempts: Annotated[int, Field(ge=1)] = Field(3, description="Attempts before work fails for good.")
    cancel_grace_seconds: Annotated[float, Field(ge=0)] = Field(5.0, description="From cancel to killing the child.")
    reap_seconds: Annotated[float, Field(gt=0)] = Field(2.0, description="Between two rounds of the reaper.")
    poll_seconds: Annotated[float, Field(gt=0)] = Field(0.5, description="Dispatcher's net when nobody wakes it.")

    seal_seconds: Annotated[float, Field(gt=0)] = Field(1.0, description="Between two rounds of sealing the log.")
    tick_seconds: Annotated[float, Field(gt=0)] = Field(5.0, description="Between two looks at what schedules are due.")
    head_seconds: Annotated[float, Field(ge=1)] = Field(
        3600.0, description="After which a log that has grown gets a newly signed head."
    )

    retention_log_days: Annotated[int, Field(ge=183)] = Field(
        400, description="Days that the files of an analysis are kept; ten years where a compliance report rests on it."
    )
    retention_seconds: Annotated[float, Field(gt=0)] = Field(
        3600.0, description="Between two looks at what retention has due."
    )

    alert_seconds: Annotated[float, Field(gt=0)] = Field(30.0, description="Between two looks at what to alert of.")
    webhook_private_hosts: str = Field(
        "", description="Hosts, by comma, that webhooks may reach on private addresses and by plain http."
    )

    smtp_host: str = Field("", description="Mail server that alerts are handed to; empty: none are sent by mail.")
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(587, description="Port of the mail server.")
    smtp_security: Annotated[str, Field(pattern=r"^(starttls|tls|none)$")] = Field(
        "starttls", description="starttls: required; tls: from the first byte; none: in the clear, without a password."
    )
    smtp_sender: str = Field("", description="Address that mails are from.")
    smtp_user: str = Field("", description="User at the mail server; empty: none.")
    smtp_password: str = Field("", description="Password of that user.", repr=False)
    smtp_ca: str = Field("", description="File of authorities (PEM) the mail server is checked against; empty: system.")

    child_threads: Annotated[int, Field(ge=1, le=256)] = Field(1, description="Threads of a child on the CPU.")
    child_memory_bytes: Annotated[int, Field(ge=268_435_456)] = Field(
        8_589_934_592, description="Memory cap of a child."
    )
    child_engine_bytes: Annotated[int, Field(ge=1_048_576)] = Field(
        536_870_912, description="Memory engines plan chunks for."
    )
    child_wall_seconds: Annotated[float, Field(gt=0)] = Field(3600.0, description="Deadline of a child.")
    child_cpu_seconds: Annotated[int, Field(ge=1)] = Field(7200, description="CPU time cap of a child.")
    child_file_bytes: Annotated[int, Field(ge=1_048_576)] = Field(
        8_589_934_592, description="Largest file a child may write; all together may take twice that."
    )
    result_json_bytes: Annotated[int, Field(ge=1024)] = Field(67_108_864, description="Largest result.json of a child.")
    render_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="Deadline for drawing one report.")

    queues: str = Field("cpu", description="Queues this worker serves, comma separated: cpu, gpu.")
    device: Annotated[str, Field(pattern=r"^(cpu|cuda:0)$")] = Field(
        "cpu", description="Device of this worker's children."
    )
    allow_weak_sandbox: bool = Field(
        default=False, description="Let trusted principals' models run at sandbox level rlimits-only, too."
    )
    log_level: Annotated[str, Field(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = Field("INFO", description="Log level.")

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        """A mail server without a sender, or a password in the clear, is found at the start."""
        if self.smtp_host and not re.fullmatch(MAIL_ADDRESS, self.smtp_sender):
            raise ValueError("smtp_host needs smtp_sender, an address such as lamina@example.org")
        if bool(self.smtp_user) != bool(self.smtp_password):
            raise ValueError("smtp_user and smtp_password go together")
        if not (self.smtp_user + self.smtp_password).isascii():
            raise ValueError("smtp_user and smtp_password are ASCII: mail servers disagree on other letters")
        if self.smtp_user and self.smtp_security == "none":
            raise ValueError("smtp_security none would send smtp_password in the clear; use starttls or tls")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read LAMINA_* variables. Raises UnknownSetting with the nearest name for one that means nothing."""
        source = os.environ if environment is None else environment
        values: dict[str, str] = {}
        for variable, text in source.items():
            if not variable.startswith(PREFIX) or variable in ELSEWHERE:
                continue
            name, from_file = variable.removeprefix(PREFIX).lower(), False
            if name not in cls.model_fields and name.endswith("_file"):
                name, from_file = name.removesuffix("_file"), True
            if name not in cls.model_fields:
                known = [PREFIX + field.upper() for field in cls.model_fields]
                nearest = difflib.get_close_matches(variable, known, 1)
                hint = f"; did you mean {nearest[0]}?" if nearest else ""
                raise UnknownSetting(f"{variable} is not a setting of Lamina{hint}")
            values[name] = Path(text).read_text().strip() if from_file else text
        return cls.model_validate(values)

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process of the supervisor."""
        return {PREFIX + name.upper(): str(value) for name, value in self if value != ""}
