"""What does an alert look like as a mail? Plain text from stated facts, the same words at every try.

Its Message-ID comes from the message's own id, so who gets it twice can tell. No word of an alert gets into a header as
it is: what cannot be printed is a space there, so that no header ends early.
"""

import json
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from uuid import UUID

LONGEST_SUBJECT = 150
FOOT = (
    "Sent by Lamina, which was asked to tell this address of alerts. An alert is closed once its cause is over; a mail",
    "tells of that, too. The same mail can come twice: its Message-ID is the same then.",
)


def mail_of(body: str, *, delivery: UUID, to: str, sender: str, at: datetime) -> EmailMessage:
    """The mail of a message's body (JSON, as webhooks get it). `at`: when the message was made, at any try."""
    said = json.loads(body)
    data, event = said["data"], str(said["type"]).removeprefix("alert.")
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = to
    made["Subject"] = f"Lamina: {data['severity']}, {event}: {_line(data['text'])}"[:LONGEST_SUBJECT]
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{delivery}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    facts = {"event": event, "severity": data["severity"], "at": f"{at:%Y-%m-%d %H:%M} UTC"}
    facts |= {"model": data["model_name"] or "every model", "alert": data["id"], "cause": data["key"]}
    table = [f"{name:<10}{_line(str(value))}" for name, value in facts.items()]
    made.set_content("\n".join([_line(data["text"]), "", *table, "", *FOOT, ""]))
    return made


def _line(text: str) -> str:
    """Words on one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
