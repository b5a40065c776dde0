-- Workshops, their bays and who works there, as the role `pitstop_api`: row-level security says who may change what.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: lock_workshop
-- The lock that a hold takes (keep_still): either the hold sees the change, or the change sees the hold. No row for one that the
-- caller may not change.
SELECT id FROM workshops WHERE id = $1 FOR NO KEY UPDATE

-- name: list_workshops
-- Oldest first; the cursor is the last row of the page before.
SELECT id, name, country, city, postal_code, address, email, language, timezone, confirms_within_minutes, created_at
FROM workshops
WHERE $1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid)
ORDER BY created_at, id
LIMIT $3

-- name: workshop
SELECT
    id, name, country, city, postal_code, address, email, language, timezone, confirms_within_minutes,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'active', b.active) ORDER BY b.name, b.id)
        FROM bays AS b WHERE b.workshop_id = workshops.id
    ), '[]') AS bays,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object('id', m.id, 'name', m.name, 'keeps_workshop', m.keeps_workshop) ORDER BY m.name, m.id)
        FROM mechanics AS m WHERE m.workshop_id = workshops.id
    ), '[]') AS mechanics
FROM workshops WHERE id = $1

-- name: open_workshop
INSERT INTO workshops (name, country, city, postal_code, address, email, language, timezone, confirms_within_minutes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING id

-- name: set_workshop
UPDATE workshops SET
    name = $2, country = $3, city = $4, postal_code = $5, address = $6, email = $7, language = $8, timezone = $9,
    confirms_within_minutes = $10
WHERE id = $1

-- name: keeps
SELECT kept_workshop() = $1

-- name: add_bay
INSERT INTO bays (workshop_id, name) VALUES ($1, $2) RETURNING id, name, active

-- name: set_bay
UPDATE bays SET name = $3, active = $4 WHERE id = $2 AND workshop_id = $1 RETURNING id, name, active

-- name: bay_conflicts
-- What is booked in a bay that is out of use, and has not ended. It stays there.
SELECT r.booking_id, r.starts_at AS start, r.ends_at AS "end", b.status
FROM slot_reservations AS r
JOIN bays ON bays.id = r.bay_id AND NOT bays.active
JOIN bookings AS b ON b.id = r.booking_id
WHERE r.bay_id = $1 AND r.ends_at > $2 AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > $2)
ORDER BY r.starts_at, r.booking_id

-- name: assign
SELECT assign_to_workshop($1, $2, $3)

-- name: place_conflicts
-- What a mechanic has in bays of another workshop than its own, and has not ended.
SELECT r.booking_id, r.starts_at AS start, r.ends_at AS "end", b.status
FROM slot_reservations AS r
JOIN bays ON bays.id = r.bay_id
JOIN mechanics AS m ON m.id = r.mechanic_id AND m.workshop_id IS DISTINCT FROM bays.workshop_id
JOIN bookings AS b ON b.id = r.booking_id
WHERE r.mechanic_id = $1 AND r.ends_at > $2
    AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > $2)
ORDER BY r.starts_at, r.booking_id
