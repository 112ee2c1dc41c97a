-- What an execution left is known by the SHA-256 of its content (32 bytes), which is in
-- the store of files. Without a digest its content is in the folder of artifacts: it is
-- from before, or was not kept.
ALTER TABLE artifacts ADD COLUMN digest BLOB;
ALTER TABLE artifacts ADD COLUMN media_type TEXT;
ALTER TABLE artifacts ADD COLUMN role TEXT;
ALTER TABLE artifacts ADD COLUMN executable INTEGER NOT NULL DEFAULT 0;

-- For the callers that may use a file because they may see an execution that left it.
CREATE INDEX artifacts_of_digest ON artifacts (digest) WHERE digest IS NOT NULL;
