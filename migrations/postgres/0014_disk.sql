-- Scratch space on disk: what an execution reserves, and the most that it has used. An older
-- server that shares this database reserves none.
ALTER TABLE executions ADD COLUMN disk_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN peak_disk_bytes BIGINT;
