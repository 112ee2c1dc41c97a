-- The kind of failure where `error_kind` has only the nearest one that servers of
-- every version know.
ALTER TABLE executions ADD COLUMN exact_error_kind TEXT;
