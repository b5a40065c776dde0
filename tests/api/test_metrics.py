"""What Prometheus gets: who may scrape, which labels there are, and that the alert rules ask for what exists."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import temporalio.bridge
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pitstop.devstack.names import ROOT
from pitstop.devstack.stackfile import Stack
from tests.api.conftest import problem_of
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.test_production import fit

_RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
# Prometheus's own, and words of its language.
_NOT_OURS = {"up", "sum", "max", "min", "by", "rate", "histogram_quantile", "le", "lane", "source"}
# The engine's client shows a counter when it counts for the first time.
_WHEN_IT_HAPPENS = {"temporal_workflow_task_execution_failed_total"}


async def _samples(http: httpx.AsyncClient, url: str) -> list[Sample]:
    answer = await http.get(url)
    assert answer.status_code == 200
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def _value(samples: list[Sample], name: str, **labels: str) -> float:
    [found] = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
    return found


async def test_requests_are_counted_by_route(stack: Stack, customer: Customer, shop: Shop) -> None:
    async with serving(settings(stack)) as url:
        there = Customer(customer.http, stack, url, customer.token, customer.id)
        booking = await there.book(shop, shop.start())
        await there.read(booking)
        assert (await there.get(f"/v1/bookings/{uuid4()}")).status_code == 404
        assert (await there.get(f"/nowhere/{uuid4()}")).status_code == 404
        samples = await _samples(there.http, f"{url}/metrics")
    total = "pitstop_http_requests_total"
    assert _value(samples, total, method="GET", route="/v1/bookings/{id}", status="200") == 1
    assert _value(samples, total, method="GET", route="/v1/bookings/{id}", status="404") == 1
    assert _value(samples, total, route="none", status="404") == 1
    assert _value(samples, "pitstop_http_request_seconds_count", method="POST", route="/v1/bookings") == 1
    assert _value(samples, "pitstop_holds_live") >= 1
    assert _value(samples, "pitstop_database_connections", pool="main", state="idle") >= 1
    assert not [each for each in samples if any(_UUID.search(label) for label in each.labels.values())]


async def test_who_scrapes_bears_the_token(stack: Stack, http: httpx.AsyncClient) -> None:
    async with serving(settings(stack, metrics_token="scraper")) as url:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {stack.tokens.operator}"}):
            refused = await http.get(f"{url}/metrics", headers=headers)
            assert refused.status_code == 401
            assert problem_of(refused)["code"] == "unauthenticated"
        assert (await http.get(f"{url}/metrics", headers={"Authorization": "Bearer scraper"})).status_code == 200


def _addresses(stack: Stack) -> dict[str, str]:
    """The stack's own, where production needs one that answers."""
    return {
        name: stack.environment[f"PITSTOP_{name.upper()}"]
        for name in ("api_database_url", "temporal_address", "payload_keys", "payload_key_id")
    }


async def test_in_production_nobody_scrapes_without_one(stack: Stack, http: httpx.AsyncClient) -> None:
    async with serving(settings(stack, **fit(**_addresses(stack)))) as url:
        assert (await http.get(f"{url}/metrics")).status_code == 404


async def test_without_the_database_there_are_still_metrics(stack: Stack, http: httpx.AsyncClient) -> None:
    async with serving(settings(stack, api_database_url="postgresql://nobody@127.0.0.1:1/nothing")) as url:
        samples = await _samples(http, f"{url}/metrics")
    assert _value(samples, "pitstop_figures_read", source="backlogs") == 0
    assert _value(samples, "process_resident_memory_bytes") > 0
    assert not [each for each in samples if each.name == "pitstop_holds_live"]


@pytest.fixture(scope="module")
async def served(stack: Stack, http: httpx.AsyncClient) -> set[str]:
    """The names of all series of API and worker, once each has done something."""
    await http.get(f"{stack.api_url}/v1/services")
    urls = (f"{stack.api_url}/metrics", stack.worker_metrics_url)
    return {sample.name for url in urls for sample in await _samples(http, url)}


def _rules() -> list[Any]:
    rules: list[Any] = [rule for group in yaml.safe_load(_RULES.read_text())["groups"] for rule in group["rules"]]
    return rules


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
async def test_alert_rules_ask_for_what_is_served(rule: Any, served: set[str]) -> None:
    without_labels = re.sub(r"\{[^}]*\}|\[\w+\]", "", rule["expr"])
    asked = set(re.findall(r"[a-z]\w+", without_labels)) - _NOT_OURS
    assert asked <= served | _WHEN_IT_HAPPENS | {"up"}
    assert asked or "up" in rule["expr"]


def test_what_has_not_happened_yet_would_be_counted_so() -> None:
    """The engine's client knows these names: in its binary they stand without prefix and suffix."""
    [library] = Path(temporalio.bridge.__file__).parent.glob("temporal_sdk_bridge*.so")
    for name in _WHEN_IT_HAPPENS:
        assert name.removeprefix("temporal_").removesuffix("_total").encode() in library.read_bytes()
