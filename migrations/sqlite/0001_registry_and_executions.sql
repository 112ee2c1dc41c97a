-- SQLite: times are RFC 3339 in UTC, ids of executions are 16 bytes, JSON is
-- text; booleans are 0 and 1. Tables are STRICT: a column holds what its type says.

CREATE TABLE script_types (
    name        TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    -- The tag of the image that scripts of this type run on.
    image       TEXT
) STRICT;

INSERT INTO script_types (name, description) VALUES
    ('shell', 'bash, or what the #! line names'),
    ('python', 'CPython, with the environment of the script''s requirements'),
    ('binary', 'a compiled ELF executable');

-- Scripts' bytes, by what they are.
CREATE TABLE script_code (
    digest     TEXT PRIMARY KEY,
    bytes      BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE environments (
    key               TEXT PRIMARY KEY,
    script_type       TEXT NOT NULL REFERENCES script_types (name),
    system_packages   TEXT NOT NULL,
    requirements      TEXT,
    requirements_hash TEXT,
    status            TEXT NOT NULL CHECK (status IN ('queued', 'building', 'ready', 'failed')),
    image             TEXT,
    error             TEXT,
    -- The exact packages of the first build; the next one installs the same.
    lock              TEXT,
    log               TEXT NOT NULL,
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL,
    built_at          TEXT,
    last_used_at      TEXT
) STRICT;

CREATE TABLE scripts (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT NOT NULL UNIQUE,
    description       TEXT NOT NULL,
    -- Name and description as searches see them, whatever their case.
    searched          TEXT NOT NULL,
    file_path         TEXT,
    requirements_path TEXT,
    timeout_ms        INTEGER NOT NULL,
    limits            TEXT NOT NULL,
    max_concurrency   INTEGER,
    -- Unused sandboxes that are always held for it.
    warm              INTEGER NOT NULL,
    is_enabled        INTEGER NOT NULL,
    -- The number of the version that runs.
    current_version   INTEGER NOT NULL,
    created_by        TEXT NOT NULL,
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL
) STRICT;

-- Never changed, never removed.
CREATE TABLE script_versions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    script_id       INTEGER NOT NULL REFERENCES scripts (id),
    number          INTEGER NOT NULL,
    content_digest  TEXT NOT NULL,
    code_digest     TEXT NOT NULL REFERENCES script_code (digest),
    script_type     TEXT NOT NULL REFERENCES script_types (name),
    definition      TEXT NOT NULL,
    environment_key TEXT REFERENCES environments (key),
    created_by      TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    UNIQUE (script_id, number),
    UNIQUE (script_id, content_digest)
) STRICT;

CREATE INDEX script_versions_of_environment ON script_versions (environment_key);

CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL,
    -- The first half of the hash, in hexadecimal.
    selector     TEXT NOT NULL UNIQUE,
    hash         BLOB NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'runner', 'viewer')),
    -- Ids of scripts; NULL is all of them.
    scope        TEXT,
    expires_at   TEXT,
    last_used_at TEXT,
    revoked_at   TEXT,
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX tokens_in_use ON tokens (name) WHERE revoked_at IS NULL;

-- What is listed; what was read and printed is in execution_payloads.
CREATE TABLE executions (
    id                BLOB PRIMARY KEY,
    script_id         INTEGER NOT NULL REFERENCES scripts (id),
    version_id        INTEGER NOT NULL REFERENCES script_versions (id),
    job_id            TEXT,
    token_id          INTEGER NOT NULL REFERENCES tokens (id),
    triggered_by      TEXT NOT NULL,
    idempotency_key   TEXT,
    -- SHA-256 of the request that came with the key.
    fingerprint       BLOB,
    status            TEXT NOT NULL CHECK (status IN
        ('pending', 'running', 'completed', 'failed', 'timeout', 'cancelled')),
    error_kind        TEXT,
    error_message     TEXT,
    priority          INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    node              TEXT,
    -- Reserved on the node while it runs.
    memory_bytes      INTEGER NOT NULL,
    nano_cpus         INTEGER NOT NULL,
    stdout_bytes      INTEGER NOT NULL,
    stderr_bytes      INTEGER NOT NULL,
    stdout_truncated  INTEGER NOT NULL,
    stderr_truncated  INTEGER NOT NULL,
    exit_code         INTEGER,
    signal            INTEGER,
    duration_us       INTEGER,
    queue_us          INTEGER,
    overhead_us       INTEGER,
    cpu_us            INTEGER,
    peak_memory_bytes INTEGER,
    oom_kills         INTEGER,
    image             TEXT,
    container         TEXT,
    warm              INTEGER NOT NULL,
    deadline_at       TEXT,
    started_at        TEXT,
    completed_at      TEXT,
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL
) STRICT;

-- Ids are UUIDs of version 7: their order is that of time.
CREATE INDEX executions_of_script ON executions (script_id, id);
CREATE INDEX executions_of_script_by_status ON executions (script_id, status, id);
CREATE INDEX executions_by_status ON executions (status, id);
CREATE INDEX executions_of_job ON executions (job_id, id) WHERE job_id IS NOT NULL;
CREATE INDEX executions_by_end ON executions (completed_at) WHERE completed_at IS NOT NULL;
CREATE UNIQUE INDEX executions_of_key ON executions (token_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE execution_payloads (
    execution_id BLOB PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    frozen       TEXT NOT NULL,
    -- JSON as it came, byte for byte: scripts get numbers, key order and \u0000
    -- unchanged. It is text in PostgreSQL, too.
    input        TEXT NOT NULL,
    output       TEXT,
    stdout       BLOB,
    stderr       BLOB,
    -- In which order the pieces of stdout and stderr came.
    log_order    BLOB
) STRICT;

CREATE TABLE artifacts (
    execution_id BLOB NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    -- Its place in the list, from 0; its content is stored under this number,
    -- because names come out of sandboxes.
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    -- Why its content was not kept.
    skipped      TEXT,
    PRIMARY KEY (execution_id, position)
) STRICT;

CREATE TABLE audit_log (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    before  TEXT,
    after   TEXT
) STRICT;

CREATE INDEX audit_log_of_subject ON audit_log (subject, id);

-- How many executions there are of each script in each state, kept by triggers:
-- counting a million rows for every page takes too long.
CREATE TABLE execution_counts (
    script_id INTEGER NOT NULL REFERENCES scripts (id),
    status    TEXT NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (script_id, status)
) STRICT;

CREATE TRIGGER executions_counted_in AFTER INSERT ON executions BEGIN
    INSERT INTO execution_counts (script_id, status, count) VALUES (NEW.script_id, NEW.status, 1)
    ON CONFLICT (script_id, status) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER executions_counted_over AFTER UPDATE OF status ON executions
WHEN OLD.status <> NEW.status BEGIN
    UPDATE execution_counts SET count = count - 1
    WHERE script_id = OLD.script_id AND status = OLD.status;
    INSERT INTO execution_counts (script_id, status, count) VALUES (NEW.script_id, NEW.status, 1)
    ON CONFLICT (script_id, status) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER executions_counted_out AFTER DELETE ON executions BEGIN
    UPDATE execution_counts SET count = count - 1
    WHERE script_id = OLD.script_id AND status = OLD.status;
END;
