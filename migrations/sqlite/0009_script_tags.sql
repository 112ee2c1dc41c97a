-- Words by which people find a script, with a space between two.
ALTER TABLE scripts ADD COLUMN tags TEXT NOT NULL DEFAULT '';
