-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Three roles, so that no process has more rights than its work needs:
--   pitstop_owner   owns every object and runs migrations; nobody logs in as it to serve a request
--   pitstop_worker  the activities of the booking workflow; sees every booking
--   pitstop_api     the HTTP API; row-level security is in force for it (identity set per transaction)
-- Roles belong to the cluster, not to the database, so they may be there already. Logins and passwords are the deployment's.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['pitstop_owner', 'pitstop_worker', 'pitstop_api'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', wanted);
        END IF;
    END LOOP;
    EXECUTE format('GRANT pitstop_owner TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO pitstop_owner', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO pitstop_owner;
GRANT USAGE ON SCHEMA public TO pitstop_worker, pitstop_api;

-- An exclusion constraint that compares a uuid for equality beside a range for overlap needs GiST support for uuid.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- migrate:down

DROP EXTENSION IF EXISTS btree_gist;
