-- Somebody wants a running execution to end: known to whoever goes on with it.
ALTER TABLE executions ADD COLUMN cancel_requested BOOLEAN NOT NULL DEFAULT FALSE;
