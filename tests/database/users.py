"""Which roles of the product run which named queries."""

from collections.abc import Iterator

from pitstop.postgres import queries

# By file, or by file and name where a query is not for all who use the file.
USERS = {
    "audit": ["audit"],
    "audit_board": ["api"],
    "audit_log": ["api"],
    "catalogue": ["api"],
    "dashboards": ["api"],
    "changes": ["worker"],
    "desk": ["api"],
    "erasure": ["worker"],
    "flags": ["worker"],
    "feeds": ["api"],
    "holidays": ["api", "worker"],
    "inbox": ["api", "worker"],
    "limits": ["api"],
    "notices": ["worker"],
    "proposals": ["worker"],
    "offers": ["worker"],
    "pulse": ["api"],
    "referrals": ["api"],
    "rules": ["api"],
    "saga": ["worker"],
    "sealing": ["worker"],
    "supplements": ["worker"],
    "texts": ["api"],
    "resending": ["api"],
    "waitlist": ["worker"],
    "waitlist_desk": ["api"],
    "waivers": ["api"],
    "workshop_words": ["worker"],
    "workshops": ["api"],
}
_NARROWER = {
    "audit_log.note": ["api", "worker"],
    "flags.raise_flags": ["api"],
    "flags.take_back_flags": ["api"],
    "holidays.put_off": ["worker"],
    "holidays.stale_regions": ["worker"],
    "inbox.store": ["api"],
    "inbox.unapplied": ["worker"],
}


def run_by(role: str) -> Iterator[tuple[str, str]]:
    """Name and text of each query that this role runs."""
    for module in queries.modules():
        for name, sql in queries.load(module).items():
            full = f"{module}.{name}"
            if role in _NARROWER.get(full, USERS.get(module, [])):
                yield full, sql
