-- +goose Up

ALTER TABLE conversation ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation ADD COLUMN public INTEGER NOT NULL DEFAULT 0;      -- everybody may find and join it
ALTER TABLE member ADD COLUMN role INTEGER NOT NULL DEFAULT 1;              -- 1 plain, 2 admin, 3 owner
CREATE INDEX conversation_public ON conversation (public, kind, id);
UPDATE conversation SET public = 1 WHERE id = 1;

-- What holds for a user in a room, whether they are in it or not: leaving and coming back changes nothing about it.
CREATE TABLE restriction (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    muted_until     INTEGER NOT NULL DEFAULT 0,
    shut_out        INTEGER NOT NULL DEFAULT 0,   -- was removed, and needs an admin to come back
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;

CREATE TABLE room_link (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL,
    hash            BLOB    NOT NULL UNIQUE,
    created_by      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL DEFAULT 0,   -- 0 never
    max_uses        INTEGER NOT NULL DEFAULT 0,   -- 0 any number
    uses            INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX room_link_conversation ON room_link (conversation_id);

-- +goose Down
DROP TABLE room_link;
DROP TABLE restriction;
DROP INDEX conversation_public;
ALTER TABLE member DROP COLUMN role;
ALTER TABLE conversation DROP COLUMN public;
ALTER TABLE conversation DROP COLUMN topic;
