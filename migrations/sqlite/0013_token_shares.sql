-- Parts of the server's shares that the token opens: a list of NAME or NAME/PATH.
ALTER TABLE tokens ADD COLUMN shares TEXT NOT NULL DEFAULT '[]';
