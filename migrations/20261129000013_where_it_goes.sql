-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A booking that leaves its time, or its mechanic, leaves behind who has come to it.
GRANT DELETE ON check_ins TO pitstop_worker;

-- Why a mechanic will not be there for a session, in the words of its conflicts; null where it will. Whoever comes to a time
-- that was held for it need not be able to read the mechanic's rules.
CREATE FUNCTION why_away(mechanic uuid, session tstzrange) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM time_off AS t WHERE t.mechanic_id = m.id AND t.during && session) THEN 'time_off'
        WHEN NOT EXISTS (SELECT FROM open_hours(ARRAY[m.id], session) AS open WHERE open.hours @> session)
            THEN CASE
                WHEN is_day_off(m.id, m.holiday_region, (lower(session) AT TIME ZONE m.timezone)::date) THEN 'time_off'
                ELSE 'outside_hours'
            END
    END
    FROM mechanics AS m WHERE m.id = mechanic
$$;
REVOKE EXECUTE ON FUNCTION why_away FROM PUBLIC;
GRANT EXECUTE ON FUNCTION why_away TO pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP FUNCTION why_away;
REVOKE DELETE ON check_ins FROM pitstop_worker;

RESET ROLE;
