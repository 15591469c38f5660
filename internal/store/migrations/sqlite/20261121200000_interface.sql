-- +goose Up

-- What a message has attached.
ALTER TABLE message ADD COLUMN file_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_file ON message (file_id) WHERE file_id > 0;

-- A room that is closed: 1 while what was said there is being deleted, then 2. Its number is not given to another.
ALTER TABLE conversation ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;

-- When a room was made public; what was shared before is for those who were there. 0: it always was public, or never. Of rooms
-- that were made public before this was kept, the last message before tells it.
ALTER TABLE conversation ADD COLUMN opened_at INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET opened_at = COALESCE((SELECT m.created_at + 1 FROM message m
    WHERE m.conversation_id = conversation.id AND m.seq = conversation.open_seq), 0) WHERE open_seq > 0;

-- Who came to a conversation after a message.
CREATE INDEX member_joined ON member (conversation_id, joined_seq);

-- Rises with every change of somebody's friends, requests, remarks and blocks, so that a client knows whether to ask for them again.
ALTER TABLE "user" ADD COLUMN contacts_version INTEGER NOT NULL DEFAULT 0;

-- What is in a folder, by time.
CREATE INDEX file_newest ON file (conversation_id, parent_id, created_at);

-- Whose friend somebody is, and who has blocked them.
CREATE INDEX friend_of ON friend (friend_id);
CREATE INDEX block_of ON block (blocked_id);

-- What was reported to those who administer.
CREATE TABLE report (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    reporter_id     INTEGER NOT NULL,
    about_id        INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL DEFAULT 0,   -- 0: it is about the user
    seq             INTEGER NOT NULL DEFAULT 0,
    text            TEXT    NOT NULL DEFAULT '',  -- of the message when it was reported
    reason          TEXT    NOT NULL DEFAULT '',
    created_at      INTEGER NOT NULL,
    state           INTEGER NOT NULL DEFAULT 1,   -- 1 open, 2 handled, 3 refused
    handled_by      INTEGER NOT NULL DEFAULT 0,
    handled_at      INTEGER NOT NULL DEFAULT 0,
    note            TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX report_state ON report (state, id);
CREATE INDEX report_reporter ON report (reporter_id, created_at);

-- +goose Down
DROP TABLE report;
DROP INDEX block_of;
DROP INDEX friend_of;
DROP INDEX file_newest;
ALTER TABLE "user" DROP COLUMN contacts_version;
DROP INDEX member_joined;
ALTER TABLE conversation DROP COLUMN opened_at;
ALTER TABLE conversation DROP COLUMN closed;
DROP INDEX message_file;
ALTER TABLE message DROP COLUMN file_id;
