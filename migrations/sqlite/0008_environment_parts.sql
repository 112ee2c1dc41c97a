-- What an environment is made of beside its packages: a version of Python, packages
-- that are built from source, and a command with the script that it is for.
ALTER TABLE environments ADD COLUMN python TEXT;
ALTER TABLE environments ADD COLUMN sources INTEGER NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN warm_up TEXT;
