-- The chain over the audit log, made and checked by the worker.

-- name: seal
SELECT id, entries, encode(digest, 'hex') AS digest FROM seal_audit_log($1)

-- name: broken
SELECT id FROM broken_audit_seals($1) ORDER BY id
