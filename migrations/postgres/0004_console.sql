-- Browsers that are signed in: each has a secret of its own in a cookie, never the
-- token it was given for.
CREATE TABLE sessions (
    -- The first half of the secret's hash, in hexadecimal.
    selector   TEXT PRIMARY KEY,
    hash       BYTEA NOT NULL,
    token_id   BIGINT NOT NULL REFERENCES tokens (id),
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX sessions_of_token ON sessions (token_id, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Who asked for it: ids of executions are in the order of time.
CREATE INDEX executions_of_caller ON executions (triggered_by, id);
