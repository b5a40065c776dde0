-- Limits that all API processes share, as the role `pitstop_api`: it may call these functions and sees no row.

-- name: draw_tokens
SELECT granted, wait FROM draw_tokens($1, $2, $3)

-- name: claim_hold
SELECT kind, wait FROM claim_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: note_declined_card
SELECT note_declined_card($1, $2)
