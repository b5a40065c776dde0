-- What anybody may see: services, mechanics, free slots.

-- name: services
SELECT
    s.id, s.slug, s.name, s.kind, s.duration_minutes, s.buffer_before_minutes, s.buffer_after_minutes,
    COALESCE(s.immediate, s.kind IN ('video', 'chat')) AS immediate,
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

-- name: free_time
-- All that a search asks, in one go. The cursor is the last slot of the page before.
SELECT
    s.step_minutes, s.duration_minutes, $2::uuid IS NULL OR EXISTS (SELECT FROM mechanics WHERE id = $2) AS mechanic_is_known,
    free.mechanics, free.firsts, free.lasts
FROM services AS s
CROSS JOIN LATERAL (
    SELECT
        COALESCE(array_agg(run.mechanic_id), '{}') AS mechanics,
        COALESCE(array_agg(run.first_start), '{}') AS firsts,
        COALESCE(array_agg(run.last_start), '{}') AS lasts
    FROM page_of_free_runs(
        $1,
        CASE WHEN $2::uuid IS NULL THEN ARRAY(SELECT mechanic_id FROM mechanic_services WHERE service_id = $1)
        ELSE ARRAY[$2] END,
        tstzrange($3, $4), $5, $6, $7, $8
    ) AS run
) AS free
WHERE s.id = $1 AND s.active

-- name: next_slot
-- The first free slot from $6 on, as far ahead as anybody plans, and who gets it where several have it free.
WITH candidates AS (
    SELECT array_agg(m.id) AS ids, make_interval(days => max(m.horizon_days) + 1) AS horizon
    FROM matching_mechanics($1, $3, $4, $5) AS matching
    JOIN mechanics AS m ON m.id = matching.mechanic_id
    WHERE $2::uuid IS NULL OR m.id = $2
)
SELECT
    CASE WHEN $2::uuid IS NULL THEN fairest_mechanic($1, $3, $4, $5, slot.starts_at, $7::timestamptz)
    ELSE slot.mechanic_id END AS mechanic_id,
    slot.starts_at AS start, slot.ends_at AS "end"
FROM candidates
CROSS JOIN LATERAL page_of_free_slots(
    $1, candidates.ids, tstzrange($6::timestamptz, greatest($6, $7::timestamptz + candidates.horizon)), $7, NULL, NULL, 1
) AS slot

-- name: zone_offsets
SELECT lower(valid) AS since, utc_offset FROM zone_offsets($1, tstzrange($2, $3, '[]')) ORDER BY since

-- name: service_exists
SELECT EXISTS (SELECT FROM services WHERE id = $1 AND active)

-- name: mechanic_exists
SELECT EXISTS (SELECT FROM mechanics WHERE id = $1)

-- name: slot_refusal
SELECT slot_refusal($1, $2, $3, $4)
