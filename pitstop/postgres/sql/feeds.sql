-- Mechanics' calendars, as the role `pitstop_api`.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: address
SELECT id AS feed_id, mechanic_id, made_at FROM calendar_feeds WHERE mechanic_id = $1

-- name: renew
-- With a new id the address before opens nothing any more. No row when there is no such mechanic.
INSERT INTO calendar_feeds (id, mechanic_id, made_at) SELECT $2::uuid, m.id, $3::timestamptz FROM mechanics AS m WHERE m.id = $1
ON CONFLICT (mechanic_id) DO UPDATE SET id = excluded.id, made_at = excluded.made_at
RETURNING id AS feed_id, mechanic_id, made_at

-- name: remove
DELETE FROM calendar_feeds WHERE mechanic_id = $1 RETURNING id

-- name: owner
SELECT m.name FROM calendar_feeds AS f JOIN mechanics AS m ON m.id = f.mechanic_id WHERE f.id = $1 AND m.id = $2

-- name: entries
SELECT id, service_name, kind, place, customer, starts_at, ends_at, sequence, changed_at, tentative
FROM feed_entries($1, tstzrange($2, $3), $4)
