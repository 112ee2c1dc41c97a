-- Whether the script's modules had been imported before the execution came; null when
-- there are none, and when nobody saw it. If not, why.
ALTER TABLE executions ADD COLUMN preloaded INTEGER;
ALTER TABLE executions ADD COLUMN preload_reason TEXT;
