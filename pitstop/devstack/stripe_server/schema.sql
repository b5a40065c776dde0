-- Every object of the API, events included, newest last.
CREATE TABLE IF NOT EXISTS objects (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    kind           TEXT NOT NULL,
    created        INTEGER NOT NULL,
    payment_intent TEXT,
    charge         TEXT,
    type           TEXT,                        -- of an event
    metadata       TEXT NOT NULL DEFAULT '{}',  -- what control rules match: the payment's metadata and the object's own
    body           TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_intent ON objects (payment_intent, kind);

-- The answer that an Idempotency-Key brings back for ever. Written with the effect itself.
CREATE TABLE IF NOT EXISTS idempotency (
    key        TEXT PRIMARY KEY,
    request    TEXT NOT NULL,                   -- method, path and parameters of the first call
    request_id TEXT NOT NULL,
    status     INTEGER NOT NULL,
    body       TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS calls (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    at              REAL NOT NULL,
    request_id      TEXT NOT NULL UNIQUE,
    method          TEXT NOT NULL,
    path            TEXT NOT NULL,
    operation       TEXT,
    idempotency_key TEXT,
    params          TEXT NOT NULL,
    status          INTEGER,                    -- NULL while unanswered
    replayed        INTEGER NOT NULL DEFAULT 0,
    fault           TEXT
);

-- Rules of the control interface: `what` is 'fault', 'webhook' or 'endpoint'. `remaining` NULL: until removed.
CREATE TABLE IF NOT EXISTS rules (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    what      TEXT NOT NULL,
    remaining INTEGER,
    body      TEXT NOT NULL
);

-- One sending of one event. `state`: pending, delivered, dropped, failed (given up). Times in Unix seconds.
CREATE TABLE IF NOT EXISTS deliveries (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    event    TEXT NOT NULL REFERENCES objects (id),
    endpoint TEXT,                              -- a rule's id; NULL: the default endpoint
    state    TEXT NOT NULL,
    created  REAL NOT NULL,
    due      REAL NOT NULL,
    held_by  TEXT,                              -- the reorder rule that waits for a later event to overtake this one
    behind   INTEGER,                           -- not before this delivery is over
    failures INTEGER NOT NULL DEFAULT 0,
    history  TEXT NOT NULL DEFAULT '[]'         -- the tries: at, status, error
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
