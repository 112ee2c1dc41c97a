-- Files by their content. A file is in the store of files before its row is here, and its
-- row is gone before it leaves the store. Digests are 32 bytes.
CREATE TABLE objects (
    digest     BLOB PRIMARY KEY,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    -- The last time that somebody brought it, asked for it, held it or let go of it.
    used_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX objects_by_use ON objects (used_at);

-- Who keeps a file: nothing with a reference is collected.
CREATE TABLE file_refs (
    digest     BLOB NOT NULL REFERENCES objects (digest),
    -- token:ID, execution:UUID or tree:HEX.
    holder     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    name       TEXT,
    media_type TEXT,
    -- The holder may see the files of the tree that this is the manifest of.
    is_tree    INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    -- NULL is never.
    expires_at TEXT,
    PRIMARY KEY (digest, holder)
) STRICT, WITHOUT ROWID;

CREATE INDEX file_refs_of_holder ON file_refs (holder, created_at, digest, bytes, expires_at);
CREATE INDEX file_refs_by_end ON file_refs (expires_at) WHERE expires_at IS NOT NULL;

-- Manifests of folders: objects whose holder of their files is tree:HEX.
CREATE TABLE trees (
    digest     BLOB PRIMARY KEY REFERENCES objects (digest) ON DELETE CASCADE,
    files      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Uploads in parts.
CREATE TABLE uploads (
    id          BLOB PRIMARY KEY,
    token_id    INTEGER NOT NULL REFERENCES tokens (id),
    -- NULL while the client has not said it.
    length      INTEGER,
    -- Bytes that survive a power failure.
    received    INTEGER NOT NULL,
    -- The digest that it must have; once it is complete, the one that it has.
    digest      BLOB,
    name        TEXT,
    media_type  TEXT,
    -- How long the file is kept, as the client said it.
    keep        TEXT,
    -- The client's own words, which it gets back.
    metadata    TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    completed_at TEXT
) STRICT;

CREATE INDEX uploads_of_token ON uploads (token_id, completed_at, length, received);
CREATE INDEX uploads_by_end ON uploads (expires_at);
