-- A version that becomes current as soon as its environment is ready.
ALTER TABLE scripts ADD COLUMN pending_version BIGINT;
