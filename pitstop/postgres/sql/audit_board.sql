-- The audit's last result, as the role pitstop_api: row-level security shows it to operators, and counts to the metrics.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: last_run
SELECT id, seen_at, finished_at, since, seconds, checked, clean FROM audit_runs ORDER BY seen_at DESC LIMIT 1

-- name: findings
SELECT code, invariant, booking_id, subject, found, to_do, repairable FROM audit_findings WHERE run_id = $1 ORDER BY position

-- name: counts
SELECT code, count(*) AS found FROM audit_findings WHERE run_id = $1 GROUP BY code
