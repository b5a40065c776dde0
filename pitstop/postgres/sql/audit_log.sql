-- Who did what. Entries are written in the transaction of what they tell of.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: note
INSERT INTO audit_log (actor_role, actor, action, object_kind, object_id, outcome, address, request_id, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: read
-- Newest first; the cursor is the last entry of the page before.
SELECT id, at, actor_role, actor, action, object_kind, object_id, outcome, address, request_id, detail
FROM audit_log
WHERE ($1::text IS NULL OR actor = $1)
    AND ($2::text IS NULL OR action = $2)
    AND ($3::text IS NULL OR object_id = $3)
    AND ($4::timestamptz IS NULL OR at >= $4)
    AND ($5::timestamptz IS NULL OR at < $5)
    AND ($6::bigint IS NULL OR id < $6)
ORDER BY id DESC
LIMIT $7
