"""Guards that a control takes away. A run without one of them has to find violations, or the chaos proves nothing."""

# Every hold takes its time before it commits, as on a busy disk: rivals look at a slot that is not taken yet.
_SLOW_COMMITS = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;
CREATE TRIGGER slow AFTER INSERT ON slot_reservations FOR EACH ROW EXECUTE FUNCTION take_time();
"""

# By name: the SQL that takes the guard away.
CONTROLS = {
    # Nothing else keeps rivals apart: neither the constraints nor the order in which a mechanic's holds come.
    "no-constraint": f"""
        ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_at_a_time, DROP CONSTRAINT one_booking_in_a_bay;
        CREATE OR REPLACE FUNCTION keep_still(mechanic uuid, service uuid) RETURNS void
        LANGUAGE plpgsql AS $$ BEGIN END $$;
        {_SLOW_COMMITS}
    """,
    # The same rush with the constraint in place: what the control above shows is not the slowness.
    "slow-commits": _SLOW_COMMITS,
    # The booking is confirmed and its session is lost: what a second transaction after the first could do.
    "session-forgotten": """
        ALTER TABLE sessions DISABLE TRIGGER USER;
        CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            DELETE FROM sessions WHERE id = NEW.id; RETURN NULL;
        END $$;
        ALTER TABLE slot_reservations DROP CONSTRAINT slot_reservations_session_id_fkey;
        CREATE CONSTRAINT TRIGGER forgetful AFTER INSERT ON sessions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION forget();
    """,
}
