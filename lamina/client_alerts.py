"""What does a client ask about alerts? What is open, where messages go, and what became of them."""

from collections.abc import Iterator
from typing import Literal
from uuid import UUID, uuid4

from lamina.client_calls import Calls
from service.contracts.alerts import (
    AlertView,
    DeliveryState,
    DeliveryView,
    RecipientSubmission,
    RecipientView,
    WebhookMade,
    WebhookSubmission,
    WebhookView,
)
from service.contracts.api import Page

Receiver = Literal["webhooks", "mail-recipients"]


class AlertCalls(Calls):
    """The part of `lamina.client.Client` that is about alerts and who is told of them."""

    def alerts(self, *, still_open: bool | None = None) -> Iterator[AlertView]:
        """Alerts, newest first; only those that are open, or that are not, if that is given."""
        return self._pages(
            Page[AlertView], "/v1/alerts", {"open": None if still_open is None else str(still_open).lower()}
        )

    def acknowledge_alert(self, alert: UUID) -> AlertView:
        """Say that somebody has seen an alert; it stays open until its cause is over."""
        return self._act(AlertView, f"/v1/alerts/{alert}/acknowledgement")

    def make_webhook(self, submission: WebhookSubmission) -> WebhookMade:
        """Say where alerts are to go; the answer alone holds the secret."""
        return self._post(WebhookMade, "/v1/webhooks", submission, key=str(uuid4()))

    def rotate_webhook(self, webhook: UUID) -> WebhookMade:
        """Give a webhook another secret; what is sent from now on is signed with it."""
        return self._act(WebhookMade, f"/v1/webhooks/{webhook}/rotation", repeatable=False)

    def webhooks(self) -> Iterator[WebhookView]:
        """Webhooks, newest first; those that are disabled stay."""
        return self._pages(Page[WebhookView], "/v1/webhooks")

    def make_recipient(self, submission: RecipientSubmission) -> RecipientView:
        """Say whom alerts are mailed to."""
        return self._post(RecipientView, "/v1/mail-recipients", submission, key=str(uuid4()))

    def recipients(self) -> Iterator[RecipientView]:
        """Recipients of mail, newest first; those that are disabled stay."""
        return self._pages(Page[RecipientView], "/v1/mail-recipients")

    def try_receiver(self, what: Receiver, receiver: UUID) -> DeliveryView:
        """Send a message that means nothing."""
        return self._act(DeliveryView, f"/v1/{what}/{receiver}/test", repeatable=False)

    def disable_webhook(self, webhook: UUID) -> WebhookView:
        """Send a webhook nothing more, for good."""
        return self._value(WebhookView, self._transport.send("DELETE", f"/v1/webhooks/{webhook}"))

    def disable_recipient(self, recipient: UUID) -> RecipientView:
        """Mail somebody nothing more, for good."""
        return self._value(RecipientView, self._transport.send("DELETE", f"/v1/mail-recipients/{recipient}"))

    def deliveries(
        self, *, webhook: UUID | None = None, recipient: UUID | None = None, state: DeliveryState | None = None
    ) -> Iterator[DeliveryView]:
        """Messages with every try, newest first."""
        return self._pages(
            Page[DeliveryView], "/v1/deliveries", {"webhook": webhook, "recipient": recipient, "state": state}
        )

    def send_again(self, delivery: UUID) -> DeliveryView:
        """Send a message that did not get there again, as a message of its own."""
        return self._act(DeliveryView, f"/v1/deliveries/{delivery}/replay", repeatable=False)
