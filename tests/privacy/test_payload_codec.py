"""What the engine keeps is sealed, opens with each key that is known, and with no other."""

import asyncio
import base64
import json
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pitstop.devstack.stackfile import Stack
from pitstop.gateways import temporal_engine
from pitstop.gateways.payload_codec import ENCODING, KEY_ID, EncryptingCodec, PayloadNotReadable, data_converter
from pitstop.settings import DEVELOPMENT_PAYLOAD_KEY, Settings
from tests.support import stack as stacks
from tests.support.opened import opened, payloads, plain_text
from tests.support.people import Customer
from tests.support.shop import Shop
from tests.support.time import Clock
from tests.test_production import TOLD_NOBODY, fit

OLD, NEW = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain", "messageType": b"x"}, data=b'"Camille Roy"')


def _codec(current: str, **keys: bytes) -> EncryptingCodec:
    return EncryptingCodec(keys, current)


async def test_the_whole_payload_is_sealed_and_comes_back_as_it_was() -> None:
    codec = _codec("old", old=OLD)
    sealed = codec.seal(PLAIN)
    assert dict(sealed.metadata) == {"encoding": ENCODING, KEY_ID: b"old"}
    assert b"Camille" not in sealed.SerializeToString()
    assert b"json" not in sealed.SerializeToString()
    assert codec.open(sealed) == PLAIN
    assert codec.seal(PLAIN) != sealed, "a nonce of its own each time"


async def test_what_is_not_sealed_passes_through() -> None:
    assert await _codec("old", old=OLD).decode([PLAIN, Payload()]) == [PLAIN, Payload()]


async def test_keys_change_step_by_step() -> None:
    """The new key is known, then seals, then the old one goes: at no step is anything unreadable that should not be."""
    before, known = _codec("old", old=OLD), _codec("old", old=OLD, new=NEW)
    after, gone = _codec("new", old=OLD, new=NEW), _codec("new", new=NEW)
    sealed_before, sealed_after = before.seal(PLAIN), after.seal(PLAIN)
    assert [codec.open(sealed_before) for codec in (before, known, after)] == [PLAIN] * 3
    assert [codec.open(sealed_after) for codec in (known, after, gone)] == [PLAIN] * 3
    with pytest.raises(PayloadNotReadable, match=r"'old'.*PITSTOP_PAYLOAD_KEYS"):
        gone.open(sealed_before)
    with pytest.raises(PayloadNotReadable, match="'new'"):
        before.open(sealed_after)


@pytest.mark.parametrize("place", [0, 11, 12, 20, -1])
async def test_a_changed_payload_does_not_open(place: int) -> None:
    codec = _codec("old", old=OLD)
    sealed = codec.seal(PLAIN)
    data = bytearray(sealed.data)
    data[place] ^= 1
    with pytest.raises(PayloadNotReadable):
        codec.open(Payload(metadata=sealed.metadata, data=bytes(data)))


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 12])
async def test_nonsense_does_not_open(data: bytes) -> None:
    metadata = {"encoding": ENCODING, KEY_ID: b"old"}
    with pytest.raises(PayloadNotReadable):
        _codec("old", old=OLD).open(Payload(metadata=metadata, data=data))


async def test_the_keys_name_is_part_of_what_is_sealed() -> None:
    codec = _codec("old", old=OLD, other=OLD)
    sealed = codec.seal(PLAIN)
    with pytest.raises(PayloadNotReadable):
        codec.open(Payload(metadata=dict(sealed.metadata) | {KEY_ID: b"other"}, data=sealed.data))


async def test_a_failures_words_are_sealed_and_come_back() -> None:
    converter, failure = data_converter(Settings()), Failure()
    await converter.encode_failure(ApplicationError("no mailbox camille@example.com"), failure)
    assert failure.message == "Encoded failure"
    assert b"camille" not in failure.SerializeToString()
    assert str(await converter.decode_failure(failure)) == "no mailbox camille@example.com"


def _production(**changes: str) -> Settings:
    key = base64.b64encode(NEW).decode()
    return Settings(**fit(payload_keys=json.dumps({"new": key}), payload_key_id="new") | changes)


def test_production_starts_with_keys_of_its_own() -> None:
    assert _production().payload_key_bytes == {"new": NEW}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"payload_keys": json.dumps({"new": DEVELOPMENT_PAYLOAD_KEY})}, "PITSTOP_PAYLOAD_KEYS"),
        ({"payload_key_id": "lost"}, "PITSTOP_PAYLOAD_KEY_ID"),
        ({"payload_keys": json.dumps({"new": base64.b64encode(b"too short").decode()})}, "32 bytes"),
        ({"payload_keys": json.dumps({"new": "not/base64!"})}, "32 bytes"),
        ({"payload_keys": "{}"}, "PITSTOP_PAYLOAD_KEY_ID"),
        ({"payload_keys": '{"new": "c2VjcmV0"'}, "payload_keys"),
    ],
)
def test_production_does_not_start_with_bad_keys_and_quotes_none(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        _production(**changes)
    assert said in str(refusal.value)
    for secret in (TOLD_NOBODY, base64.b64encode(NEW).decode(), "c2VjcmV0", "not/base64"):
        assert secret not in str(refusal.value)


_ENGINES_OWN = (b'"activity_type"', b'"deprecated"')


async def test_nothing_of_a_booking_is_kept_in_the_open(
    customer: Customer, shop: Shop, temporal: Client, clock: Clock
) -> None:
    """Inputs, results, signals, updates, memo and summaries: what is left in the open says nothing of whom or what."""
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.to_the_end(booking)
    history = await clock.workflow(booking).fetch_history()
    inside = [payload for event in history.events for payload in payloads(event)]
    assert len(inside) > 20
    open_ones = [payload for payload in inside if payload.metadata["encoding"] != ENCODING]
    for payload in open_ones:
        # Search attributes, and the engine's own notes in the markers of local activities and of patches.
        assert "type" in payload.metadata or any(own in payload.data for own in _ENGINES_OWN), payload
    sealed = plain_text(history.to_json())
    assert str(shop.mechanic_id) in sealed, "as a search attribute"
    for word in ("Brake check", "Bélanger", "The customer may pay", "fingerprint", "hold the slot", customer.email):
        assert word not in sealed
    readable = plain_text(opened(history, temporal.data_converter).to_json())
    assert "Brake check" in readable
    assert "hold the slot" in readable


@workflow.defn(name="Patient")
class _Patient:
    """Waits for a word."""

    def __init__(self) -> None:
        self._word: str | None = None

    @workflow.run
    async def run(self, first: str) -> str:
        await workflow.wait_condition(lambda: self._word is not None)
        return f"{first} {self._word}"

    @workflow.signal
    def say(self, word: str) -> None:
        self._word = word


def _with_keys(stack: Stack, current: str, **keys: bytes) -> Settings:
    named = {key_id: base64.b64encode(key).decode() for key_id, key in keys.items()}
    return stacks.settings(stack).model_copy(
        update={
            "payload_key_id": current,
            "payload_keys": Settings.model_validate({"payload_keys": named, "payload_key_id": current}).payload_keys,
        }
    )


async def test_a_worker_without_the_key_fails_its_tasks_and_a_run_goes_on_when_it_comes(stack: Stack) -> None:
    """Keys are changed in the wrong order: nothing is lost, and the error says what to mend."""
    ahead = await temporal_engine.connect(_with_keys(stack, "new", old=OLD, new=NEW))
    behind = await temporal_engine.connect(_with_keys(stack, "old", old=OLD))
    queue = f"keys-{uuid4()}"
    handle = await ahead.start_workflow(
        "Patient", "hello", id=queue, task_queue=queue, task_timeout=timedelta(seconds=1)
    )

    def worker(client: Client) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            workflows=[_Patient],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )

    async with worker(behind):
        failed = await _event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
        assert failed is not None
        assert "PayloadNotReadable" in failed
    async with worker(ahead):
        await handle.signal("say", "world")
        assert await handle.result() == "hello world"


async def _event(handle: object, kind: int) -> str | None:
    for _ in range(100):
        history = await handle.fetch_history()  # type: ignore[attr-defined]
        for event in history.events:
            if event.event_type == kind:
                return str(event.workflow_task_failed_event_attributes.failure)
        await asyncio.sleep(0.1)
    return None
