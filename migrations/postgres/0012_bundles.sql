-- The files of bundles, by the digest of this manifest, and the environments that contain them.
CREATE TABLE bundles (
    digest TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

ALTER TABLE environments ADD COLUMN bundle TEXT;
