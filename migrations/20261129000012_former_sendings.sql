-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- As before; and what came of the sending until then stays, in the timeline's entry: the new one may be skipped.
CREATE OR REPLACE FUNCTION resend_notice(booking uuid, notice text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH before AS (
        SELECT
            key,
            jsonb_build_object(
                'sending', sending, 'status', status, 'sent_at', sent_at, 'delivery_status', delivery_status,
                'delivery_code', delivery_code, 'delivery_at', delivery_at
            ) AS sent
        FROM notifications
        WHERE booking_id = booking AND key = notice AND status IN ('sent', 'failed', 'skipped')
            AND caller_role() = 'operator'
        FOR UPDATE
    ),
    again AS (
        UPDATE notifications AS n SET
            status = 'pending', sending = n.sending + 1, sent_at = NULL, detail = NULL, claimed_at = NULL,
            message_sid = NULL, delivery_status = NULL, delivery_code = NULL, delivery_at = NULL
        FROM before
        WHERE n.key = before.key
        RETURNING n.booking_id, n.kind, n.channel, n.sending, before.sent
    ),
    noted AS (
        INSERT INTO booking_events (booking_id, at, event, detail)
        SELECT
            booking_id, clock_timestamp(), 'notice_resent',
            jsonb_build_object('kind', kind, 'channel', channel, 'key', notice, 'sending', sending, 'before', sent)
        FROM again
    )
    SELECT EXISTS (SELECT FROM again)
$$;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

CREATE OR REPLACE FUNCTION resend_notice(booking uuid, notice text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH again AS (
        UPDATE notifications SET
            status = 'pending', sending = sending + 1, sent_at = NULL, detail = NULL, claimed_at = NULL,
            message_sid = NULL, delivery_status = NULL, delivery_code = NULL, delivery_at = NULL
        WHERE booking_id = booking AND key = notice AND status IN ('sent', 'failed', 'skipped')
            AND caller_role() = 'operator'
        RETURNING booking_id, kind, channel, sending
    ),
    noted AS (
        INSERT INTO booking_events (booking_id, at, event, detail)
        SELECT
            booking_id, clock_timestamp(), 'notice_resent',
            jsonb_build_object('kind', kind, 'channel', channel, 'key', notice, 'sending', sending)
        FROM again
    )
    SELECT EXISTS (SELECT FROM again)
$$;

RESET ROLE;
