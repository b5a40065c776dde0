"""A history as it is kept (sealed) and as whoever has the keys reads it (opened)."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes

from pitstop.gateways.payload_codec import EncryptingCodec


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload in it, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in _parts(field, value):
            yield from payloads(part)


def opened(history: WorkflowHistory, converter: DataConverter) -> WorkflowHistory:
    """The same history in plain JSON: payloads opened, failures with their own words again."""
    codec = converter.payload_codec
    assert isinstance(codec, EncryptingCodec)
    whole = History()
    whole.CopyFrom(History(events=history.events))
    for payload in payloads(whole):
        payload.CopyFrom(codec.open(payload))
    for failure in _failures(whole):
        _say_in_words(failure)
    return WorkflowHistory(history.workflow_id, list(whole.events))


def _failures(message: Message) -> Iterator[Failure]:
    if isinstance(message, Failure):
        yield message
    if isinstance(message, Payload):
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in _parts(field, value):
            yield from _failures(part)


def _say_in_words(failure: Failure) -> None:
    """What `DefaultFailureConverterWithEncodedAttributes` puts into a payload, back where it was."""
    if failure.HasField("encoded_attributes"):
        plain = DataConverter(failure_converter_class=DefaultFailureConverterWithEncodedAttributes)
        [words] = plain.payload_converter.from_payloads([failure.encoded_attributes])
        failure.message, failure.stack_trace = words["message"], words["stack_trace"]
        failure.ClearField("encoded_attributes")


def _parts(field: Any, value: Any) -> list[Any]:
    if field.message_type.GetOptions().map_entry:
        return [each for each in value.values() if isinstance(each, Message)]
    return list(value) if field.is_repeated else [value]


def plain_text(history_json: str) -> str:
    """The history's JSON with each payload's data as text beside it: protobuf's JSON has bytes in base64."""
    return history_json + "".join(_texts(json.loads(history_json)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "data" and isinstance(each, str):
                yield base64.b64decode(each).decode(errors="replace")
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
