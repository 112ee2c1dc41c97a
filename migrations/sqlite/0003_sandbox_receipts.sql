-- How sandboxes were confined, as their engines said: most executions share one.
CREATE TABLE sandbox_receipts (
    -- SHA-256 of the receipt.
    digest  BLOB PRIMARY KEY,
    receipt TEXT NOT NULL,
    -- When an execution last had it, give or take an hour.
    used_at TEXT NOT NULL
) STRICT;

-- No foreign key: every end would look there. A receipt is written before the first
-- execution that has it, and removed long after the last one.
ALTER TABLE executions ADD COLUMN receipt BLOB;
