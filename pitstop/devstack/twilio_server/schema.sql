-- Every message, out and in. `body` is the resource as the API shows it; `status` moves with time.
CREATE TABLE IF NOT EXISTS messages (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    sid             TEXT NOT NULL UNIQUE,
    recipient       TEXT NOT NULL,
    sender          TEXT NOT NULL,
    status_callback TEXT,
    body            TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_to ON messages (recipient, seq);

-- What is to happen to a message: at `due` it gets the status and a callback says so. `copies` 0: nobody is told.
CREATE TABLE IF NOT EXISTS steps (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    message TEXT NOT NULL REFERENCES messages (sid),
    status  TEXT NOT NULL,
    code    INTEGER,
    due     REAL NOT NULL,
    copies  INTEGER NOT NULL DEFAULT 1,
    wait    REAL NOT NULL DEFAULT 0,
    done    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS steps_due ON steps (done, due);

-- One POST to a webhook: a status callback, or a reply. `state`: pending, delivered, failed (given up).
CREATE TABLE IF NOT EXISTS callbacks (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    message TEXT NOT NULL,
    url     TEXT NOT NULL,
    params  TEXT NOT NULL,
    state   TEXT NOT NULL DEFAULT 'pending',
    due     REAL NOT NULL,
    history TEXT NOT NULL DEFAULT '[]'          -- the tries: at, status, error
);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (state, due);

CREATE TABLE IF NOT EXISTS opt_outs (number TEXT PRIMARY KEY);

CREATE TABLE IF NOT EXISTS calls (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     REAL NOT NULL,
    method TEXT NOT NULL,
    path   TEXT NOT NULL,
    params TEXT NOT NULL,
    status INTEGER,                             -- NULL while unanswered
    fault  TEXT
);

-- Rules of the control interface: `what` is 'fault', 'callback' or 'outcome'. `remaining` NULL: until removed.
CREATE TABLE IF NOT EXISTS rules (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    what      TEXT NOT NULL,
    recipient TEXT,
    remaining INTEGER,
    body      TEXT NOT NULL
);
