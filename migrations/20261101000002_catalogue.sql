-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

CREATE TABLE mechanics (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CHECK (name <> ''),
    -- Working hours are local time in this IANA zone; its name is kept, because an offset forgets daylight saving.
    timezone text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    city text NOT NULL,
    postal_code text NOT NULL,
    -- Where an in-person session takes place.
    address text NOT NULL,
    online boolean NOT NULL DEFAULT TRUE,
    minimum_notice_minutes integer NOT NULL DEFAULT 120 CHECK (minimum_notice_minutes >= 0),
    horizon_days integer NOT NULL DEFAULT 60 CHECK (horizon_days BETWEEN 1 AND 365),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE services (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9-]+$'),
    name text NOT NULL CHECK (name <> ''),
    kind text NOT NULL CHECK (kind IN ('video', 'chat', 'diagnostic', 'in_person')),
    duration_minutes integer NOT NULL CHECK (duration_minutes BETWEEN 1 AND 1440),
    buffer_before_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_before_minutes BETWEEN 0 AND 1440),
    buffer_after_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_after_minutes BETWEEN 0 AND 1440),
    -- Starts lie on a grid of this many minutes, counted from midnight UTC: a quarter of an hour fits every zone's offset.
    step_minutes integer NOT NULL DEFAULT 15 CHECK (1440 % step_minutes = 0),
    active boolean NOT NULL DEFAULT TRUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Prices are integers in the currency's minor unit (cents), as Stripe counts; the code is lower case, as Stripe writes it.
CREATE TABLE plans (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    service_id uuid NOT NULL REFERENCES services (id),
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9-]+$'),
    name text NOT NULL CHECK (name <> ''),
    amount bigint NOT NULL CHECK (amount BETWEEN 50 AND 99999999),
    currency text NOT NULL DEFAULT 'cad' CHECK (currency ~ '^[a-z]{3}$'),
    active boolean NOT NULL DEFAULT TRUE,
    UNIQUE (service_id, slug)
);

CREATE TABLE mechanic_services (
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    service_id uuid NOT NULL REFERENCES services (id),
    PRIMARY KEY (mechanic_id, service_id)
);
CREATE INDEX mechanic_services_by_service ON mechanic_services (service_id, mechanic_id);

-- Weekly hours: local wall-clock time in the mechanic's zone; weekday 0 is Monday. A span that ends at or before its
-- start runs over midnight into the next day.
CREATE TABLE availability_rules (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    weekday smallint NOT NULL CHECK (weekday BETWEEN 0 AND 6),
    start_time time NOT NULL,
    end_time time NOT NULL,
    UNIQUE (mechanic_id, weekday, start_time)
);

CREATE TABLE time_off (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    during tstzrange NOT NULL CHECK (NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)),
    reason text
);
CREATE INDEX time_off_by_mechanic ON time_off USING gist (mechanic_id, during);

-- A zone that PostgreSQL does not know would make every search fail later: refuse it where it is written.
-- The database's own zone data decides, here and in every computation of hours.
CREATE FUNCTION require_known_timezone() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = NEW.timezone) THEN
        RAISE EXCEPTION 'unknown time zone %', NEW.timezone USING ERRCODE = 'check_violation', CONSTRAINT = 'known_timezone';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER known_timezone BEFORE INSERT OR UPDATE OF timezone ON mechanics
FOR EACH ROW EXECUTE FUNCTION require_known_timezone();

RESET ROLE;

-- migrate:down
DROP TABLE time_off, availability_rules, mechanic_services, plans, services, mechanics;
DROP FUNCTION require_known_timezone;
