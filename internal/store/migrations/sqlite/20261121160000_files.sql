-- +goose Up

-- Files and folders of the conversations. The bytes are in the blob store, under a key of their own.
CREATE TABLE file (
    id              INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
    conversation_id INTEGER NOT NULL,
    parent_id       INTEGER NOT NULL DEFAULT 0,   -- the folder, 0 at the top
    owner_id        INTEGER NOT NULL,
    kind            INTEGER NOT NULL,             -- 1 file, 2 folder
    name            TEXT    NOT NULL,
    wanted          TEXT    NOT NULL DEFAULT '',  -- the name it was given, if that was somebody else's
    sent            TEXT    NOT NULL DEFAULT '',  -- path below the topmost folder as its sender wrote it
    size            INTEGER NOT NULL DEFAULT 0,
    sha256          BLOB,                         -- NULL for a folder
    type            TEXT    NOT NULL DEFAULT '',
    blob            TEXT    UNIQUE,               -- NULL for a folder
    thumbnail       TEXT    UNIQUE,               -- a blob, NULL until somebody asked for one
    created_at      INTEGER NOT NULL,
    UNIQUE (conversation_id, parent_id, name)
);
CREATE INDEX file_owner ON file (owner_id, size);
CREATE INDEX file_parent ON file (parent_id);
CREATE INDEX file_age ON file (created_at);

-- Who proves a phone number takes it from those who only claim it.
CREATE INDEX user_phone_unverified ON "user" (phone) WHERE phone_key IS NULL AND phone <> '';

-- What was brought along from other servers, so that bringing it again makes no doubles.
CREATE TABLE imported (
    source   TEXT    NOT NULL,                    -- the kind of server
    noun     TEXT    NOT NULL,                    -- what it is: user, file
    foreign_id TEXT  NOT NULL,                    -- what it was called there
    local_id INTEGER NOT NULL,
    PRIMARY KEY (source, noun, foreign_id)
) WITHOUT ROWID;

-- +goose Down
DROP INDEX user_phone_unverified;
DROP TABLE imported;
DROP TABLE file;
