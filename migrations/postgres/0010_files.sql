-- Files by their content. A file is in the store of files before its row is here, and its
-- row is gone before it leaves the store. Digests are 32 bytes.
CREATE TABLE objects (
    digest     BYTEA PRIMARY KEY,
    bytes      BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    -- The last time that somebody brought it, asked for it, held it or let go of it.
    used_at    TIMESTAMPTZ NOT NULL
);

CREATE INDEX objects_by_use ON objects (used_at);

-- Who keeps a file: nothing with a reference is collected.
CREATE TABLE file_refs (
    digest     BYTEA NOT NULL REFERENCES objects (digest),
    -- token:ID, execution:UUID or tree:HEX.
    holder     TEXT NOT NULL,
    bytes      BIGINT NOT NULL,
    name       TEXT,
    media_type TEXT,
    -- The holder may see the files of the tree that this is the manifest of.
    is_tree    BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    -- NULL is never.
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (digest, holder)
);

CREATE INDEX file_refs_of_holder ON file_refs (holder, created_at, digest, bytes, expires_at);
CREATE INDEX file_refs_by_end ON file_refs (expires_at) WHERE expires_at IS NOT NULL;

-- Manifests of folders: objects whose holder of their files is tree:HEX.
CREATE TABLE trees (
    digest     BYTEA PRIMARY KEY REFERENCES objects (digest) ON DELETE CASCADE,
    files      BIGINT NOT NULL,
    bytes      BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- Uploads in parts.
CREATE TABLE uploads (
    id          UUID PRIMARY KEY,
    token_id    BIGINT NOT NULL REFERENCES tokens (id),
    -- NULL while the client has not said it.
    length      BIGINT,
    -- Bytes that survive a power failure.
    received    BIGINT NOT NULL,
    -- The digest that it must have; once it is complete, the one that it has.
    digest      BYTEA,
    name        TEXT,
    media_type  TEXT,
    -- How long the file is kept, as the client said it.
    keep        TEXT,
    -- The client's own words, which it gets back.
    metadata    TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ
);

CREATE INDEX uploads_of_token ON uploads (token_id, completed_at, length, received);
CREATE INDEX uploads_by_end ON uploads (expires_at);
