-- What anybody may see: services, mechanics, free slots.

-- name: services
SELECT
    s.id, s.slug, s.name, s.kind, s.duration_minutes, s.buffer_before_minutes, s.buffer_after_minutes,
    jsonb_agg(
        jsonb_build_object('id', p.id, 'slug', p.slug, 'name', p.name, 'amount', p.amount, 'currency', p.currency)
        ORDER BY p.amount, p.id
    ) AS plans
FROM services AS s
JOIN plans AS p ON p.service_id = s.id AND p.active
WHERE s.active
GROUP BY s.id
ORDER BY s.name, s.id

-- name: mechanics
SELECT
    m.id, m.name, m.timezone, m.city, m.country, m.online,
    array_agg(ms.service_id ORDER BY ms.service_id) AS service_ids
FROM mechanics AS m
JOIN mechanic_services AS ms ON ms.mechanic_id = m.id
JOIN services AS s ON s.id = ms.service_id AND s.active
WHERE ($2::text IS NULL OR m.country = upper($2)) AND ($3::text IS NULL OR lower(m.city) = lower($3))
GROUP BY m.id
HAVING $1::uuid IS NULL OR $1 = ANY(array_agg(ms.service_id))
ORDER BY m.name, m.id

-- name: free_slots
-- Ordered by start, then mechanic; the cursor is the last slot of the page before.
SELECT mechanic_id, starts_at AS start, ends_at AS "end"
FROM free_slots($1, $2, tstzrange($3, $4), $5)
WHERE $6::timestamptz IS NULL OR (starts_at, mechanic_id) > ($6, $7::uuid)
ORDER BY starts_at, mechanic_id
LIMIT $8

-- name: service_exists
SELECT EXISTS (SELECT FROM services WHERE id = $1 AND active)

-- name: mechanic_exists
SELECT EXISTS (SELECT FROM mechanics WHERE id = $1)

-- name: timezones
SELECT name FROM pg_timezone_names

-- name: slot_refusal
SELECT slot_refusal($1, $2, $3, $4)
