-- What an environment is made of beside its packages: a version of Python, packages
-- that are built from source, and a command with the script that it is for.
ALTER TABLE environments ADD COLUMN python TEXT;
ALTER TABLE environments ADD COLUMN sources BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE environments ADD COLUMN warm_up JSONB;
