-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A workshop is written to in its own language, whatever its customers speak.
ALTER TABLE workshops ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'fr'));
GRANT INSERT (language), UPDATE (language) ON workshops TO pitstop_api;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

-- squawk-ignore ban-drop-column
ALTER TABLE workshops DROP COLUMN language;

RESET ROLE;
