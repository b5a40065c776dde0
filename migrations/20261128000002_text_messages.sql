-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- How long before the start reminders go out for this service; null: as for all (PITSTOP_REMINDER_OFFSETS_SECONDS).
CREATE FUNCTION are_reminder_offsets(offsets interval []) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT cardinality(offsets) <= 5 AND NOT EXISTS (
        SELECT FROM unnest(offsets) AS each
        WHERE each IS NULL OR each < '1 minute' OR each > '30 days' OR extract(epoch FROM each) % 1 <> 0
    ) AND cardinality(offsets) = (SELECT count(DISTINCT each) FROM unnest(offsets) AS each)
$$;
ALTER TABLE services ADD COLUMN reminder_offsets interval []
CONSTRAINT sound_reminder_offsets CHECK (are_reminder_offsets(reminder_offsets));

ALTER TABLE bookings
    -- Whether the customer may be sent text messages: its own word, given with the number.
    ADD COLUMN sms_consent boolean NOT NULL DEFAULT FALSE,
    -- What the customer is written to in.
    ADD COLUMN language text NOT NULL DEFAULT 'en' CONSTRAINT known_language CHECK (language IN ('en', 'fr')),
    -- Those of the service at the booking's moment.
    ADD COLUMN reminder_offsets interval []
    CONSTRAINT sound_reminder_offsets CHECK (are_reminder_offsets(reminder_offsets));

ALTER TABLE notifications
    -- What this notice tells besides the booking's own facts: a link, a reason, the time before it was moved.
    ADD COLUMN about jsonb NOT NULL DEFAULT '{}',
    -- Rises when an operator has a notice sent again: what comes back about an earlier sending is not about this one.
    ADD COLUMN sending integer NOT NULL DEFAULT 1 CHECK (sending > 0),
    -- By the database's clock, not the workflow's: the provider's dates are compared with it.
    ADD COLUMN claimed_at timestamptz,
    -- What the provider calls the text message, and the last that it has said of it.
    ADD COLUMN message_sid text,
    ADD COLUMN delivery_status text CONSTRAINT known_delivery_status CHECK (delivery_status IN (
        'accepted', 'scheduled', 'queued', 'sending', 'sent', 'delivered', 'undelivered', 'failed', 'canceled', 'read'
    )),
    ADD COLUMN delivery_code integer,
    ADD COLUMN delivery_at timestamptz;

-- How far a text message has got. A callback that is late or comes twice never takes it back: the ends are all one rank,
-- and the first of them stays, except that a message may be read after it was delivered.
CREATE FUNCTION delivery_rank(status text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE status
        WHEN 'accepted' THEN 1 WHEN 'scheduled' THEN 1 WHEN 'queued' THEN 2 WHEN 'sending' THEN 3 WHEN 'sent' THEN 4
        WHEN 'delivered' THEN 5 WHEN 'undelivered' THEN 5 WHEN 'failed' THEN 5 WHEN 'canceled' THEN 5 WHEN 'read' THEN 6
        ELSE 0
    END
$$;

-- Numbers whose owners want no text messages (STOP). A keyed digest, which nobody can turn back into the number: the wish
-- has to outlive the erasure of everything else that is known of somebody.
CREATE TABLE text_opt_outs (
    number_digest bytea PRIMARY KEY CHECK (length(number_digest) = 16),
    opted_out_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE text_opt_outs ENABLE ROW LEVEL SECURITY;
ALTER TABLE text_opt_outs FORCE ROW LEVEL SECURITY;

-- Replies come to the API in the role of webhooks, as Stripe's events do.
CREATE POLICY webhooks ON text_opt_outs FOR ALL TO pitstop_api
USING ((SELECT caller_role()) = 'webhook') WITH CHECK ((SELECT caller_role()) = 'webhook');
CREATE POLICY every_number ON text_opt_outs FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
GRANT SELECT, INSERT, DELETE ON text_opt_outs TO pitstop_api;
GRANT SELECT, INSERT ON text_opt_outs TO pitstop_worker;

-- The API changes notices in two ways only, each a function with its owner's rights: what Twilio says of a text message, in
-- the role of webhooks; and an operator's wish to have one sent again. These policies say what the functions may touch.
CREATE POLICY texts_and_operators ON notifications FOR SELECT TO pitstop_owner USING (
    CASE (SELECT caller_role()) WHEN 'webhook' THEN channel = 'sms' ELSE (SELECT caller_role()) = 'operator' END
);
CREATE POLICY texts_and_operators_wishes ON notifications FOR UPDATE TO pitstop_owner USING (
    CASE (SELECT caller_role()) WHEN 'webhook' THEN channel = 'sms' ELSE (SELECT caller_role()) = 'operator' END
);
CREATE POLICY operators_wishes ON booking_events FOR INSERT TO pitstop_owner
WITH CHECK ((SELECT caller_role()) = 'operator' AND event = 'notice_resent');

-- Of this sending of the notice only, and never backwards: what is told late or twice changes nothing. Whether it was news.
CREATE FUNCTION record_text_delivery(notice text, sent integer, sid text, said text, code integer) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH told AS (
        UPDATE notifications
        SET message_sid = sid, delivery_status = said, delivery_code = code, delivery_at = clock_timestamp()
        WHERE key = notice AND channel = 'sms' AND sending = sent AND COALESCE(message_sid, sid) = sid
            AND delivery_rank(said) > COALESCE(delivery_rank(delivery_status), 0) AND caller_role() = 'webhook'
        RETURNING key
    )
    SELECT EXISTS (SELECT FROM told)
$$;

-- Whoever asks wants it twice: it is another sending, of which the old one's news say nothing. The tries go on being
-- counted. One that is waiting to be sent stays as it is. Whether it is to be sent anew.
CREATE FUNCTION resend_notice(booking uuid, notice text) RETURNS boolean
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
REVOKE EXECUTE ON FUNCTION record_text_delivery, resend_notice FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_text_delivery, resend_notice TO pitstop_api;

GRANT INSERT (about), UPDATE (about, claimed_at, message_sid) ON notifications TO pitstop_worker;
GRANT UPDATE (sms_consent) ON bookings TO pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;
REVOKE UPDATE (about, claimed_at, message_sid) ON notifications FROM pitstop_worker;
REVOKE UPDATE (sms_consent) ON bookings FROM pitstop_worker;
DROP FUNCTION record_text_delivery, resend_notice;
DROP POLICY operators_wishes ON booking_events;
DROP POLICY texts_and_operators_wishes ON notifications;
DROP POLICY texts_and_operators ON notifications;
DROP TABLE text_opt_outs;
DROP FUNCTION delivery_rank;
ALTER TABLE notifications
    DROP COLUMN about, DROP COLUMN sending, DROP COLUMN claimed_at, DROP COLUMN message_sid, DROP COLUMN delivery_status,
    DROP COLUMN delivery_code, DROP COLUMN delivery_at;
ALTER TABLE bookings DROP COLUMN sms_consent, DROP COLUMN language, DROP COLUMN reminder_offsets;
ALTER TABLE services DROP COLUMN reminder_offsets;
DROP FUNCTION are_reminder_offsets;
RESET ROLE;
