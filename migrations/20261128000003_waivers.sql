-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- What customers sign, word for word. A version has its text in each language; once published it never changes, because
-- signatures name it by its hash. Version 1 is a draft to begin with: publish your own before you rely on it.
CREATE TABLE waiver_documents (
    version integer NOT NULL CHECK (version > 0),
    language text NOT NULL CHECK (language IN ('en', 'fr')),
    -- Plain text; an empty line ends a paragraph, the first of which is the title.
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 50000),
    sha256 bytea NOT NULL CONSTRAINT hash_of_its_text CHECK (sha256 = sha256(convert_to(body, 'UTF8'))),
    in_force_from timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who has published it; null for what comes with the product.
    published_by_role text CHECK (published_by_role = 'operator'),
    published_by text,
    PRIMARY KEY (version, language),
    -- So that a signature cannot name another hash than its document has.
    UNIQUE (version, language, sha256)
);
CREATE INDEX waiver_documents_in_force ON waiver_documents (in_force_from, version);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON waiver_documents
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

INSERT INTO waiver_documents (version, language, body, sha256, in_force_from)
SELECT 1, text.language, text.body, sha256(convert_to(text.body, 'UTF8')), '2026-11-01T00:00:00Z'
FROM (
    VALUES (
        'en',
        $$Waiver and consent for a vehicle session

I have booked a session in which a mechanic inspects, diagnoses or works on my vehicle. The mechanic is an independent contractor and is responsible for the work.

I own this vehicle, or its owner has allowed me to have this work done. What I have said about the vehicle and its faults is true as far as I know.

I understand that work on a vehicle has risks: old or damaged parts may fail when they are examined or moved, data stored in the vehicle may be lost, and a fault may be found that makes the vehicle unsafe to drive. I accept these risks.

In a remote diagnostic I do only what the mechanic asks for, with the vehicle parked, secured and, where it is asked for, switched off. I stop when I feel unsafe.

I will not drive a vehicle that the mechanic has told me is unsafe.

As far as the law allows, I will not hold the marketplace or the mechanic liable for loss or damage that comes from these risks. Nothing in this document limits my rights under consumer protection law, or liability for bodily or moral injury, gross negligence or intent.

By typing my name and accepting, I sign this document. I may ask for a copy at any time.$$
    ), (
        'fr',
        $$Décharge et consentement pour une séance sur un véhicule

J’ai réservé une séance pendant laquelle un mécanicien inspecte, diagnostique ou répare mon véhicule. Le mécanicien est un entrepreneur indépendant et répond de son travail.

Ce véhicule m’appartient, ou son propriétaire m’a autorisé à faire exécuter ce travail. Ce que j’ai dit du véhicule et de ses défauts est vrai autant que je sache.

Je comprends que le travail sur un véhicule comporte des risques : des pièces usées ou endommagées peuvent céder lorsqu’on les examine ou les déplace, des données enregistrées dans le véhicule peuvent être perdues, et l’on peut découvrir un défaut qui rend le véhicule dangereux à conduire. J’accepte ces risques.

Lors d’un diagnostic à distance, je fais seulement ce que le mécanicien demande, le véhicule étant stationné, immobilisé et, s’il le faut, éteint. J’arrête si je ne me sens pas en sécurité.

Je ne conduirai pas un véhicule que le mécanicien m’a dit être dangereux.

Dans la mesure permise par la loi, je ne tiendrai ni la place de marché ni le mécanicien responsables des pertes ou dommages qui découlent de ces risques. Rien dans ce document ne limite mes droits en vertu des lois sur la protection du consommateur, ni la responsabilité pour préjudice corporel ou moral, faute lourde ou faute intentionnelle.

En tapant mon nom et en acceptant, je signe ce document. Je peux en demander une copie en tout temps.$$
    )
) AS text (language, body);

-- Who has signed which text when, and from where. Rows are added; what erasure makes empty is all that ever changes.
CREATE TABLE waiver_signatures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    booking_id uuid NOT NULL REFERENCES bookings (id),
    version integer NOT NULL,
    language text NOT NULL,
    sha256 bytea NOT NULL,
    signed_name text NOT NULL CHECK (length(signed_name) <= 200),
    -- By the database's clock: nobody who signs says when.
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    address text NOT NULL CHECK (length(address) <= 45),
    user_agent text NOT NULL CHECK (length(user_agent) <= 500),
    -- `service`: a back end has passed on what its customer signed; address and agent are the back end's.
    signer_role text NOT NULL CHECK (signer_role IN ('customer', 'link', 'service')),
    signer text NOT NULL CHECK (length(signer) <= 255),
    -- Evidence is kept so long, whoever asks for its erasure.
    keep_until timestamptz NOT NULL,
    -- Without it nobody can try out names on the digest in the audit log; it goes with them.
    salt uuid DEFAULT gen_random_uuid(),
    erased_at timestamptz,
    FOREIGN KEY (version, language, sha256) REFERENCES waiver_documents (version, language, sha256),
    CHECK (erased_at IS NOT NULL OR (signed_name <> '' AND salt IS NOT NULL))
);
CREATE INDEX waiver_signatures_of_booking ON waiver_signatures (booking_id, accepted_at, id);
CREATE INDEX waiver_signatures_by_time ON waiver_signatures (accepted_at);
CREATE INDEX waiver_signatures_to_erase ON waiver_signatures (keep_until) WHERE erased_at IS NULL;

CREATE FUNCTION keep_evidence() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    emptied waiver_signatures := OLD;
BEGIN
    emptied.signed_name := '';
    emptied.address := '';
    emptied.user_agent := '';
    emptied.salt := NULL;
    emptied.erased_at := NEW.erased_at;
    IF OLD.erased_at IS NOT NULL OR NEW.erased_at IS NULL OR NEW.erased_at < OLD.keep_until
        OR NEW IS DISTINCT FROM emptied THEN
        RAISE EXCEPTION 'waiver_signatures is append-only' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE ON waiver_signatures
FOR EACH ROW EXECUTE FUNCTION keep_evidence();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON waiver_signatures
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE waiver_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE waiver_documents FORCE ROW LEVEL SECURITY;
ALTER TABLE waiver_signatures ENABLE ROW LEVEL SECURITY;
ALTER TABLE waiver_signatures FORCE ROW LEVEL SECURITY;

CREATE POLICY anybody_reads ON waiver_documents FOR SELECT
TO pitstop_owner, pitstop_api, pitstop_worker, pitstop_audit USING (TRUE);
CREATE POLICY operators_publish ON waiver_documents FOR INSERT TO pitstop_api WITH CHECK (
    (SELECT caller_role()) = 'operator'
    AND published_by_role = (SELECT caller_role()) AND published_by = (SELECT caller())
);
CREATE POLICY of_own_bookings ON waiver_signatures FOR SELECT TO pitstop_api
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = waiver_signatures.booking_id));
CREATE POLICY every_booking ON waiver_signatures FOR SELECT TO pitstop_worker USING (TRUE);
CREATE POLICY erasure ON waiver_signatures FOR UPDATE TO pitstop_worker USING (TRUE) WITH CHECK (erased_at IS NOT NULL);
CREATE POLICY audited ON waiver_signatures FOR SELECT TO pitstop_audit USING (TRUE);

-- Who may sign: the customer, by its token or its link, and the service that booked for it. Nobody signs for somebody
-- else: neither mechanic nor operator. The function below runs as its owner, whom these policies bind.
CREATE POLICY bookings_to_sign_for ON bookings FOR UPDATE TO pitstop_owner USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'link' THEN id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller()) AND created_by_role = 'service'
        ELSE FALSE
    END
) WITH CHECK (FALSE);
CREATE POLICY of_bookings_to_sign_for ON sessions FOR SELECT TO pitstop_owner
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = sessions.booking_id));
CREATE POLICY of_bookings_to_sign_for ON notifications FOR SELECT TO pitstop_owner USING (
    kind = 'waiver_request' AND EXISTS (SELECT FROM bookings WHERE bookings.id = notifications.booking_id)
);
CREATE POLICY sign_in_own_name ON waiver_signatures FOR INSERT TO pitstop_owner WITH CHECK (
    signer_role = (SELECT caller_role()) AND signer = (SELECT caller())
    AND EXISTS (SELECT FROM bookings WHERE bookings.id = waiver_signatures.booking_id)
);
CREATE POLICY signing ON booking_events FOR INSERT TO pitstop_owner WITH CHECK (
    event = 'waiver_signed' AND EXISTS (SELECT FROM bookings WHERE bookings.id = booking_events.booking_id)
);

-- The version whose text is signed at this moment.
CREATE FUNCTION waiver_in_force(at timestamptz) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT version FROM waiver_documents WHERE in_force_from <= at ORDER BY in_force_from DESC, version DESC LIMIT 1
$$;

-- The kinds of session that do not start without one.
CREATE FUNCTION needs_waiver(kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT kind IN ('in_person', 'diagnostic') $$;

-- `not_required`, `required` or `signed`; null for a booking that its caller does not see. The kind is that of the session
-- as it was booked. Any version counts that was good when it was signed; a signature that no longer fits its document does
-- not. In a transaction that decides by it: in a statement after the one that has locked the booking's row.
CREATE FUNCTION waiver_status(booking uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT needs_waiver(COALESCE(s.kind, v.kind)) THEN 'not_required'
        WHEN EXISTS (
            SELECT FROM waiver_signatures AS w
            JOIN waiver_documents AS d ON d.version = w.version AND d.language = w.language AND d.sha256 = w.sha256
            WHERE w.booking_id = b.id
        ) THEN 'signed'
        ELSE 'required'
    END
    FROM bookings AS b
    JOIN services AS v ON v.id = b.service_id
    LEFT JOIN sessions AS s ON s.booking_id = b.id
    WHERE b.id = booking
$$;

-- All of a signature in one number, which the sealed audit log keeps: a row that was changed by force no longer fits it.
CREATE FUNCTION waiver_digest(signature waiver_signatures) RETURNS text
LANGUAGE sql STABLE SET timezone = 'UTC' AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        signature.id, signature.booking_id, signature.version, signature.language, encode(signature.sha256, 'hex'),
        signature.signed_name, signature.accepted_at, signature.address, signature.user_agent, signature.signer_role,
        signature.signer, signature.keep_until, signature.salt
    )::text, 'UTF8')), 'hex')
$$;

-- Whether this booking's session must not start. When in doubt it must not.
CREATE FUNCTION waiver_missing(booking uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$ SELECT COALESCE(waiver_status(booking) = 'required', TRUE) $$;

-- Signs, or says why not: `not_found`, `not_required`, `not_signable` (the booking does not stand, or its session has
-- started), `outdated`. The version must be the one in force now, or the one that was when the customer was last asked.
-- Signing and starting come one after the other: both lock the booking's row, and then look.
CREATE FUNCTION sign_waiver(
    booking uuid, wanted integer, in_language text, name text, from_address text, agent text, kept_for interval
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    standing record;
    at timestamptz;
    asked_at timestamptz;
    hash bytea;
BEGIN
    PERFORM FROM bookings AS b WHERE b.id = booking FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    SELECT b.status, waiver_status(b.id) AS waiver INTO standing FROM bookings AS b WHERE b.id = booking;
    IF standing.waiver = 'not_required' THEN
        RETURN 'not_required';
    ELSIF standing.status NOT IN ('confirmed', 'pending') THEN
        RETURN 'not_signable';
    END IF;
    at := clock_timestamp();
    SELECT max(n.sent_at) INTO asked_at FROM notifications AS n WHERE n.booking_id = booking AND n.kind = 'waiver_request';
    SELECT d.sha256 INTO hash FROM waiver_documents AS d
    WHERE d.version = wanted AND d.language = in_language AND d.version IN (waiver_in_force(at), waiver_in_force(asked_at));
    IF hash IS NULL THEN
        RETURN 'outdated';
    END IF;
    INSERT INTO waiver_signatures (
        booking_id, version, language, sha256, signed_name, accepted_at, address, user_agent, signer_role, signer, keep_until
    ) VALUES (
        booking, wanted, in_language, hash, name, at, from_address, agent, caller_role(), caller(), at + kept_for
    );
    INSERT INTO booking_events (booking_id, at, event, detail)
    VALUES (booking, at, 'waiver_signed', jsonb_build_object('version', wanted, 'language', in_language));
    RETURN 'signed';
END
$$;
REVOKE EXECUTE ON FUNCTION sign_waiver FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_waiver TO pitstop_api;

-- `sign_waiver` looks at the status of the rows that its caller may sign, and waits for them.
CREATE POLICY bookings_of_callers ON waiver_signatures FOR SELECT TO pitstop_owner
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = waiver_signatures.booking_id));

GRANT SELECT ON waiver_documents, waiver_signatures TO pitstop_api, pitstop_worker;
GRANT INSERT (version, language, body, sha256, in_force_from, published_by_role, published_by)
ON waiver_documents TO pitstop_api;
-- What the erasure of a customer's data makes empty, once it need not be kept any longer.
GRANT UPDATE (signed_name, address, user_agent, salt, erased_at) ON waiver_signatures TO pitstop_worker;
GRANT SELECT ON waiver_documents TO pitstop_audit;
GRANT SELECT (id, booking_id, version, language, sha256, accepted_at) ON waiver_signatures TO pitstop_audit;
GRANT SELECT (kind) ON sessions TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;
REVOKE SELECT (kind) ON sessions FROM pitstop_audit;
DROP FUNCTION sign_waiver;
DROP POLICY signing ON booking_events;
DROP POLICY of_bookings_to_sign_for ON notifications;
DROP POLICY of_bookings_to_sign_for ON sessions;
DROP POLICY bookings_to_sign_for ON bookings;
DROP FUNCTION waiver_digest, waiver_missing, waiver_status, needs_waiver, waiver_in_force;
DROP TABLE waiver_signatures, waiver_documents;
DROP FUNCTION keep_evidence;
RESET ROLE;
