"""Makes the Stripe server misbehave for one test's payments, and shows what it was asked."""

from typing import Any

import httpx

from pitstop.devstack.stackfile import Stack


class StripeControl:
    """Every rule is bound to `metadata`, so that tests that run at the same time leave each other alone."""

    def __init__(self, http: httpx.AsyncClient, stack: Stack, metadata: dict[str, str]) -> None:
        self._http = http
        self._url = f"{stack.stripe_api_url}/_control"
        self._metadata = metadata
        self._rules: list[str] = []

    async def fault(self, match: str, kind: str, **options: Any) -> str:
        return await self._add("faults", {"match": match, "kind": kind} | options)

    async def webhooks(self, mode: str, **options: Any) -> str:
        return await self._add("webhooks", {"mode": mode} | options)

    async def endpoint(self, url: str, secret: str) -> str:
        return await self._add("endpoints", {"url": url, "secret": secret})

    async def remove(self, rule: str) -> None:
        await self._http.delete(f"{self._url}/{rule}")
        self._rules.remove(rule)

    async def tidy(self) -> None:
        for rule in list(self._rules):
            await self.remove(rule)

    async def events(self, payment_intent: str, type: str) -> list[dict[str, Any]]:
        answer = await self._http.get(f"{self._url}/events", params={"payment_intent": payment_intent})
        return [event for event in answer.json() if event["type"] == type]

    async def deliver(self, event_id: str, copies: int = 1) -> list[int | None]:
        answer = await self._http.post(
            f"{self._url}/events/{event_id}/deliver", json={"copies": copies, "parallel": True}
        )
        answer.raise_for_status()
        statuses: list[int | None] = answer.json()["statuses"]
        return statuses

    async def calls(self, path: str, payment_intent: str) -> list[dict[str, Any]]:
        """The calls to this path that name the PaymentIntent, in it or among their parameters."""
        answer = await self._http.get(f"{self._url}/calls", params={"limit": 100_000})
        return [
            call
            for call in answer.json()
            if path in call["path"] and (payment_intent in call["path"] or payment_intent in str(call["params"]))
        ]

    async def _add(self, kind: str, rule: dict[str, Any]) -> str:
        answer = await self._http.post(f"{self._url}/{kind}", json=rule | {"metadata": self._metadata})
        answer.raise_for_status()
        name = f"{kind}/{answer.json()['id']}"
        self._rules.append(name)
        return name
