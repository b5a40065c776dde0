"""What an operation works with."""

from dataclasses import dataclass

from pitstop.devstack.stripe_server.errors import Json, StripeError, no_such
from pitstop.devstack.stripe_server.objects import new_event
from pitstop.devstack.stripe_server.outbox import Outbox
from pitstop.devstack.stripe_server.storage import Objects


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, inside its transaction. `identifier` is the id in the path. `browser`: it came with the
    publishable key, which sees and does less. `server_url` has no slash at its end."""

    objects: Objects
    outbox: Outbox
    params: Json
    identifier: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None
    browser: bool = False
    server_url: str = ""

    def emit(self, type_: str, subject: Json) -> None:
        """Records the event with the object as it is now."""
        self.outbox.emit(new_event(type_, subject, self.request_id, self.idempotency_key))

    def intent(self) -> Json:
        """The PaymentIntent of the path. A browser must show its client secret."""
        intent = self.objects.get("payment_intent", self.identifier)
        if intent is None:
            raise no_such("payment_intent", self.identifier, "intent")
        self._check_client_secret(intent)
        return intent

    def _check_client_secret(self, intent: Json) -> None:
        given = self.params.get("client_secret")
        if given is None and not self.browser:
            return
        if given is None:
            message = "Missing required param: client_secret. It is required with a publishable API key."
            raise StripeError(400, message, code="parameter_missing", param="client_secret")
        if given != intent["client_secret"]:
            message = "The client_secret provided does not match the client_secret associated with the PaymentIntent."
            raise StripeError(400, message, code="payment_intent_invalid_parameter", param="client_secret")
