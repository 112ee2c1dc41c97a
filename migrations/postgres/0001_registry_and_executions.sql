-- PostgreSQL. JSON of Gantry's own is JSONB, which takes no \u0000 and gives numbers
-- back as decimals: it is brought into that form before. JSON of scripts is text.

CREATE TABLE script_types (
    name        TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    -- The tag of the image that scripts of this type run on.
    image       TEXT
);

INSERT INTO script_types (name, description) VALUES
    ('shell', 'bash, or what the #! line names'),
    ('python', 'CPython, with the environment of the script''s requirements'),
    ('binary', 'a compiled ELF executable');

-- Scripts' bytes, by what they are.
CREATE TABLE script_code (
    digest     TEXT PRIMARY KEY,
    bytes      BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE environments (
    key               TEXT PRIMARY KEY,
    script_type       TEXT NOT NULL REFERENCES script_types (name),
    system_packages   JSONB NOT NULL,
    requirements      TEXT,
    requirements_hash TEXT,
    status            TEXT NOT NULL CHECK (status IN ('queued', 'building', 'ready', 'failed')),
    image             TEXT,
    error             TEXT,
    -- The exact packages of the first build; the next one installs the same.
    lock              TEXT,
    log               TEXT NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL,
    built_at          TIMESTAMPTZ,
    last_used_at      TIMESTAMPTZ
);

CREATE TABLE scripts (
    id                BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              TEXT COLLATE "C" NOT NULL UNIQUE,
    description       TEXT NOT NULL,
    -- Name and description as searches see them, whatever their case.
    searched          TEXT NOT NULL,
    file_path         TEXT,
    requirements_path TEXT,
    timeout_ms        BIGINT NOT NULL,
    limits            JSONB NOT NULL,
    max_concurrency   BIGINT,
    -- Unused sandboxes that are always held for it.
    warm              BIGINT NOT NULL,
    is_enabled        BOOLEAN NOT NULL,
    -- The number of the version that runs.
    current_version   BIGINT NOT NULL,
    created_by        TEXT NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL
);

-- Never changed, never removed.
CREATE TABLE script_versions (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    script_id       BIGINT NOT NULL REFERENCES scripts (id),
    number          BIGINT NOT NULL,
    content_digest  TEXT NOT NULL,
    code_digest     TEXT NOT NULL REFERENCES script_code (digest),
    script_type     TEXT NOT NULL REFERENCES script_types (name),
    definition      JSONB NOT NULL,
    environment_key TEXT REFERENCES environments (key),
    created_by      TEXT NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    UNIQUE (script_id, number),
    UNIQUE (script_id, content_digest)
);

CREATE INDEX script_versions_of_environment ON script_versions (environment_key);

CREATE TABLE tokens (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         TEXT NOT NULL,
    -- The first half of the hash, in hexadecimal.
    selector     TEXT NOT NULL UNIQUE,
    hash         BYTEA NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'runner', 'viewer')),
    -- Ids of scripts; NULL is all of them.
    scope        JSONB,
    expires_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    revoked_at   TIMESTAMPTZ,
    created_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);

CREATE UNIQUE INDEX tokens_in_use ON tokens (name) WHERE revoked_at IS NULL;

-- What is listed; what was read and printed is in execution_payloads.
CREATE TABLE executions (
    id                UUID PRIMARY KEY,
    script_id         BIGINT NOT NULL REFERENCES scripts (id),
    version_id        BIGINT NOT NULL REFERENCES script_versions (id),
    job_id            TEXT,
    token_id          BIGINT NOT NULL REFERENCES tokens (id),
    triggered_by      TEXT NOT NULL,
    idempotency_key   TEXT,
    -- SHA-256 of the request that came with the key.
    fingerprint       BYTEA,
    status            TEXT NOT NULL CHECK (status IN
        ('pending', 'running', 'completed', 'failed', 'timeout', 'cancelled')),
    error_kind        TEXT,
    error_message     TEXT,
    priority          INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    node              TEXT,
    -- Reserved on the node while it runs.
    memory_bytes      BIGINT NOT NULL,
    nano_cpus         BIGINT NOT NULL,
    stdout_bytes      BIGINT NOT NULL,
    stderr_bytes      BIGINT NOT NULL,
    stdout_truncated  BOOLEAN NOT NULL,
    stderr_truncated  BOOLEAN NOT NULL,
    exit_code         INTEGER,
    signal            INTEGER,
    duration_us       BIGINT,
    queue_us          BIGINT,
    overhead_us       BIGINT,
    cpu_us            BIGINT,
    peak_memory_bytes BIGINT,
    oom_kills         BIGINT,
    image             TEXT,
    container         TEXT,
    warm              BOOLEAN NOT NULL,
    deadline_at       TIMESTAMPTZ,
    started_at        TIMESTAMPTZ,
    completed_at      TIMESTAMPTZ,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL
);

-- Ids are UUIDs of version 7: their order is that of time.
CREATE INDEX executions_of_script ON executions (script_id, id);
CREATE INDEX executions_of_script_by_status ON executions (script_id, status, id);
CREATE INDEX executions_by_status ON executions (status, id);
CREATE INDEX executions_of_job ON executions (job_id, id) WHERE job_id IS NOT NULL;
CREATE INDEX executions_by_end ON executions (completed_at) WHERE completed_at IS NOT NULL;
CREATE UNIQUE INDEX executions_of_key ON executions (token_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE execution_payloads (
    execution_id UUID PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    frozen       JSONB NOT NULL,
    -- JSON as it came, byte for byte: scripts get numbers, key order and \u0000
    -- unchanged, none of which JSONB keeps. To ask for what is in it: input::jsonb.
    input        TEXT NOT NULL,
    output       TEXT,
    stdout       BYTEA,
    stderr       BYTEA,
    -- In which order the pieces of stdout and stderr came.
    log_order    BYTEA
);

CREATE TABLE artifacts (
    execution_id UUID NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    -- Its place in the list, from 0; its content is stored under this number,
    -- because names come out of sandboxes.
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    bytes        BIGINT NOT NULL,
    -- Why its content was not kept.
    skipped      TEXT,
    PRIMARY KEY (execution_id, position)
);

CREATE TABLE audit_log (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      TIMESTAMPTZ NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    before  JSONB,
    after   JSONB
);

CREATE INDEX audit_log_of_subject ON audit_log (subject, id);

-- How many executions there are of each script in each state, kept by triggers:
-- counting a million rows for every page takes too long.
CREATE TABLE execution_counts (
    script_id BIGINT NOT NULL REFERENCES scripts (id),
    status    TEXT NOT NULL,
    count     BIGINT NOT NULL,
    PRIMARY KEY (script_id, status)
);

-- Once per statement, in one order everywhere, so that two transactions never
-- wait for each other's rows in a circle.
CREATE FUNCTION count_executions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO execution_counts AS counts (script_id, status, count)
        SELECT script_id, status, count(*) FROM new_rows
        GROUP BY script_id, status ORDER BY script_id, status
        ON CONFLICT (script_id, status) DO UPDATE SET count = counts.count + EXCLUDED.count;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO execution_counts AS counts (script_id, status, count)
        SELECT script_id, status, -count(*) FROM old_rows
        GROUP BY script_id, status ORDER BY script_id, status
        ON CONFLICT (script_id, status) DO UPDATE SET count = counts.count + EXCLUDED.count;
    ELSE
        INSERT INTO execution_counts AS counts (script_id, status, count)
        SELECT script_id, status, sum(change) FROM (
            SELECT script_id, status, 1 AS change FROM new_rows
            UNION ALL
            SELECT script_id, status, -1 AS change FROM old_rows
        ) AS changes
        GROUP BY script_id, status HAVING sum(change) <> 0 ORDER BY script_id, status
        ON CONFLICT (script_id, status) DO UPDATE SET count = counts.count + EXCLUDED.count;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER executions_counted_in AFTER INSERT ON executions
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_executions();
CREATE TRIGGER executions_counted_over AFTER UPDATE ON executions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_executions();
CREATE TRIGGER executions_counted_out AFTER DELETE ON executions
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_executions();
