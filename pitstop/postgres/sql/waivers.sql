-- Waivers, as the role `pitstop_api`: row-level security decides whose each block can see.

-- name: current
-- The text that is in force at this moment.
SELECT version, language, body, sha256, in_force_from
FROM waiver_documents
WHERE version = waiver_in_force($1) AND language = $2

-- name: one_publishes
-- Versions are numbered one after another: whoever publishes waits for whoever does already.
SELECT pg_advisory_xact_lock(hashtextextended('pitstop waiver documents', 0))

-- name: newest
SELECT version, language, body, sha256, in_force_from
FROM waiver_documents
WHERE version = (SELECT max(version) FROM waiver_documents)
ORDER BY language

-- name: publish
INSERT INTO waiver_documents (version, language, body, sha256, in_force_from, published_by_role, published_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: sign
SELECT sign_waiver($1, $2, $3, $4, $5, $6, $7)

-- name: digest
-- Of the signature that was just given: its booking is still locked, so that none has come after it.
SELECT id, waiver_digest(w) AS digest FROM waiver_signatures AS w WHERE booking_id = $1 ORDER BY accepted_at DESC, id DESC LIMIT 1

-- name: state
-- What a booking needs. The booking's own language, where it has one, names the text to show.
SELECT
    b.id AS booking_id, b.status, waiver_status(b.id) AS waiver_status, left(to_jsonb(b) ->> 'language', 2) AS language,
    waiver_in_force($2) AS current_version
FROM bookings AS b
WHERE b.id = $1

-- name: signatures
-- In the order in which they were given.
SELECT id, version, language, sha256, signed_name, accepted_at, address, user_agent, signer_role, signer, erased_at
FROM waiver_signatures
WHERE booking_id = $1
ORDER BY accepted_at, id

-- name: signed_documents
SELECT DISTINCT d.version, d.language, d.body, d.sha256, d.in_force_from
FROM waiver_documents AS d
JOIN waiver_signatures AS w ON w.version = d.version AND w.language = d.language
WHERE w.booking_id = $1
ORDER BY d.version, d.language
