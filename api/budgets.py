"""Which budgets a call spends, and how many unpaid holds somebody may have: the settings, by caller and address."""

from datetime import timedelta
from uuid import UUID

from fastapi import Depends

from api.addresses import Address, ClientAddress, network_of
from api.composition import InRooms, Rooms
from pitstop.domain.caller import Caller, Role
from pitstop.domain.limits import Budget, HoldLimits, Origin
from pitstop.gateways.pseudonyms import Pseudonyms
from pitstop.settings import Settings

# A trusted back end speaks for many customers from few addresses: it has limits of its own instead of theirs.
_BACK_ENDS = (Role.SERVICE, Role.OPERATOR)


def of_call(rooms: Rooms, caller: Caller, address: Address, *, reading: bool) -> list[Budget]:
    """The budgets of a caller who is known."""
    settings, names = rooms.settings, rooms.names
    subject = f"{caller.role}:{caller.subject}"
    if caller.role is Role.SERVICE:
        return [Budget("service", names.of("service", subject), settings.rate_service)]
    own = _own(settings, names, subject, reading=reading)
    return [own, reads(rooms, address) if reading else writes(rooms, address)]


def _own(settings: Settings, names: Pseudonyms, subject: str, *, reading: bool) -> Budget:
    if reading:
        return Budget("caller-reads", names.of("caller-reads", subject), settings.rate_caller_reads)
    return Budget("caller-writes", names.of("caller-writes", subject), settings.rate_caller_writes)


def reads(rooms: Rooms, address: Address) -> Budget:
    return _of_address(rooms, "address-reads", address, rooms.settings.rate_address_reads)


def searches(rooms: Rooms, address: Address) -> Budget:
    return _of_address(rooms, "address-searches", address, rooms.settings.rate_address_searches)


def writes(rooms: Rooms, address: Address) -> Budget:
    return _of_address(rooms, "address-writes", address, rooms.settings.rate_address_writes)


def failures(rooms: Rooms, address: Address) -> Budget:
    """For tokens, links and signatures that are wrong. A right one is never refused for them: neighbours behind one
    address would shut each other out, and what is signed cannot be guessed."""
    return _of_address(rooms, "address-failures", address, rooms.settings.rate_address_failures)


def of_feed(rooms: Rooms, feed_id: UUID) -> Budget:
    """By the feed alone: a calendar service fetches those of many mechanics from the same few addresses."""
    return _own(rooms.settings, rooms.names, f"feed:{feed_id}", reading=True)


def _of_address(rooms: Rooms, name: str, address: Address, per_minute: int) -> Budget:
    return Budget(name, rooms.names.of(name, network_of(address)), per_minute)


def of_hold(rooms: Rooms, caller: Caller, address: Address) -> HoldLimits:
    """The limits of a hold that this caller asks for. An address is one of many people: it may have more than one."""
    settings = rooms.settings
    return HoldLimits(
        origins=tuple(sorted(_origins(rooms, caller, address), key=lambda origin: origin.key)),
        lasts=timedelta(seconds=settings.hold_seconds + settings.hold_grace_seconds),
        cards=settings.holds_per_card,
        window=timedelta(seconds=settings.unpaid_window_seconds),
        first_delay=timedelta(seconds=settings.unpaid_delay_seconds),
        longest_delay=timedelta(seconds=settings.unpaid_longest_delay_seconds),
    )


def _origins(rooms: Rooms, caller: Caller, address: Address) -> list[Origin]:
    settings, names = rooms.settings, rooms.names
    if caller.role in _BACK_ENDS:
        key = names.of("hold-service", f"{caller.role}:{caller.subject}")
        return [Origin("service", key, settings.holds_per_service)]
    customer = names.of("hold-customer", caller.subject)
    network = names.of("hold-address", network_of(address))
    return [
        Origin("customer", customer, settings.holds_per_customer, settings.unpaid_holds_per_customer),
        Origin("address", network, settings.holds_per_address, settings.unpaid_holds_per_address),
    ]


async def _spend_a_read(rooms: InRooms, address: ClientAddress) -> None:
    await rooms.rates.spend(reads(rooms, address))


async def _spend_a_search(rooms: InRooms, address: ClientAddress) -> None:
    await rooms.rates.spend(searches(rooms, address))


# For routes that anybody may call.
LIMITED_READ = Depends(_spend_a_read)
LIMITED_SEARCH = Depends(_spend_a_search)
