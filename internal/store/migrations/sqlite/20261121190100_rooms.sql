-- +goose Up

ALTER TABLE conversation ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation ADD COLUMN public INTEGER NOT NULL DEFAULT 0;      -- everybody may find and join it
ALTER TABLE conversation ADD COLUMN open_seq INTEGER NOT NULL DEFAULT 0;    -- what was said before it was made public
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

-- Messages change in place: the row stays, with its number. Each change has a number of its own in its conversation, so that
-- who was away can ask for what was changed meanwhile; a message stands under that of its last change.
ALTER TABLE conversation ADD COLUMN change_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN reply_to INTEGER NOT NULL DEFAULT 0;         -- seq in the same conversation
ALTER TABLE message ADD COLUMN edited_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;       -- its text is ''
ALTER TABLE message ADD COLUMN sent_hash INTEGER NOT NULL DEFAULT 0;        -- of the text that was posted, once it is changed

CREATE TABLE message_change (
    conversation_id INTEGER NOT NULL,
    change_seq      INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, change_seq),
    UNIQUE (conversation_id, seq)
) WITHOUT ROWID;

CREATE TABLE reaction (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    emoji           TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, seq, user_id, emoji)
) WITHOUT ROWID;

CREATE TABLE mention (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id, seq)
) WITHOUT ROWID;
CREATE INDEX mention_message ON mention (conversation_id, seq);

-- What a member has read. What was there before anybody kept count of it counts as read.
ALTER TABLE member ADD COLUMN read_seq INTEGER NOT NULL DEFAULT 0;
UPDATE member SET read_seq = (SELECT last_seq FROM conversation c WHERE c.id = member.conversation_id);

-- The words of messages, up to indexed_seq of each conversation.
ALTER TABLE conversation ADD COLUMN indexed_seq INTEGER NOT NULL DEFAULT 0;
CREATE TABLE search_term (
    term            TEXT    NOT NULL,
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    PRIMARY KEY (term, conversation_id, seq)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE search_term;
ALTER TABLE conversation DROP COLUMN indexed_seq;
ALTER TABLE member DROP COLUMN read_seq;
DROP TABLE mention;
DROP TABLE reaction;
DROP TABLE message_change;
ALTER TABLE message DROP COLUMN sent_hash;
ALTER TABLE message DROP COLUMN deleted_at;
ALTER TABLE message DROP COLUMN edited_at;
ALTER TABLE message DROP COLUMN reply_to;
ALTER TABLE conversation DROP COLUMN change_seq;
DROP TABLE room_link;
DROP TABLE restriction;
DROP INDEX conversation_public;
ALTER TABLE member DROP COLUMN role;
ALTER TABLE conversation DROP COLUMN open_seq;
ALTER TABLE conversation DROP COLUMN public;
ALTER TABLE conversation DROP COLUMN topic;
