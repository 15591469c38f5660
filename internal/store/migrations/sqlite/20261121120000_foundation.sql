-- +goose Up

-- Accounts and friends carry the table and column names of document 001, extended by columns of our own.
CREATE TABLE "user" (
    id               INTEGER PRIMARY KEY,
    uid              INTEGER NOT NULL UNIQUE,
    name             TEXT    NOT NULL,
    name_key         TEXT    NOT NULL UNIQUE,
    email            TEXT    NOT NULL DEFAULT '',
    email_key        TEXT    UNIQUE,              -- set once the address is verified
    phone            TEXT    NOT NULL DEFAULT '',
    phone_key        TEXT    UNIQUE,              -- set once the number is verified
    password         TEXT    NOT NULL DEFAULT '',
    password_as_sent INTEGER NOT NULL DEFAULT 0,  -- the hash is of a text that its client may have XORed
    nick             TEXT    NOT NULL DEFAULT '',
    "desc"           TEXT    NOT NULL DEFAULT '',
    icon             TEXT    NOT NULL DEFAULT '',
    avatar           TEXT    NOT NULL DEFAULT '',
    sex              INTEGER NOT NULL DEFAULT 0,
    admin            INTEGER NOT NULL DEFAULT 0,
    disabled         INTEGER NOT NULL DEFAULT 0,
    epoch            INTEGER NOT NULL DEFAULT 1,
    created_at       INTEGER NOT NULL
);

CREATE INDEX user_email_unverified ON "user" (lower(email)) WHERE email_key IS NULL AND email <> '';

CREATE TABLE user_id (id INTEGER NOT NULL);
INSERT INTO user_id (id) VALUES (1000);

CREATE TABLE friend (
    id         INTEGER PRIMARY KEY,
    self_id    INTEGER NOT NULL,
    friend_id  INTEGER NOT NULL,
    back       TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL DEFAULT 0,
    UNIQUE (self_id, friend_id)
);

CREATE TABLE friend_apply (
    id         INTEGER PRIMARY KEY,
    from_uid   INTEGER NOT NULL,
    to_uid     INTEGER NOT NULL,
    status     INTEGER NOT NULL DEFAULT 0,        -- 0 pending, 1 accepted, 2 withdrawn by a block
    text       TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL DEFAULT 0,
    UNIQUE (from_uid, to_uid)
);
CREATE INDEX friend_apply_to ON friend_apply (to_uid, status);

CREATE TABLE block (
    user_id    INTEGER NOT NULL,
    blocked_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
) WITHOUT ROWID;

CREATE TABLE token (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    epoch      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX token_user ON token (user_id, kind);
CREATE INDEX token_expiry ON token (expires_at);

CREATE TABLE code (
    recipient  TEXT    PRIMARY KEY,
    code       TEXT    NOT NULL DEFAULT '',       -- '' once it is used up
    attempts   INTEGER NOT NULL DEFAULT 0,        -- wrong ones against this code
    expires_at INTEGER NOT NULL,
    day        INTEGER NOT NULL DEFAULT 0,        -- days since 1970 that wrong_today counts
    wrong_today INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE conversation (
    id         INTEGER PRIMARY KEY,
    kind       INTEGER NOT NULL,                  -- 1 direct, 2 room
    name       TEXT    NOT NULL DEFAULT '',
    direct_key TEXT    UNIQUE,                    -- "lower uid:higher uid" of a direct chat
    last_seq   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
INSERT INTO conversation (id, kind, name, created_at) VALUES (1, 2, 'lobby', 0);

CREATE TABLE member (
    user_id         INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    joined_seq      INTEGER NOT NULL DEFAULT 0,   -- what came before is not theirs to be delivered
    joined_at       INTEGER NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;
CREATE INDEX member_conversation ON member (conversation_id);

CREATE TABLE message (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    sender_id       INTEGER NOT NULL,
    client_id       TEXT,                         -- NULL where the protocol has none
    retry           INTEGER NOT NULL DEFAULT 0,   -- what beside the client id makes a retry a retry
    text            TEXT    NOT NULL,
    origin          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, seq),
    UNIQUE (sender_id, client_id, retry)
) WITHOUT ROWID;

-- What each member's clients of one gateway have got, and since when they use that gateway.
CREATE TABLE cursor (
    user_id         INTEGER NOT NULL,
    gateway         TEXT    NOT NULL,
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    PRIMARY KEY (user_id, gateway, conversation_id)
) WITHOUT ROWID;
CREATE TABLE gateway_use (
    user_id INTEGER NOT NULL,
    gateway TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (user_id, gateway)
) WITHOUT ROWID;

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor_id   INTEGER NOT NULL,
    actor_name TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    gateway    TEXT    NOT NULL,
    ip         TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit (at);

-- +goose Down
DROP TABLE audit;
DROP TABLE setting;
DROP TABLE gateway_use;
DROP TABLE cursor;
DROP TABLE message;
DROP TABLE member;
DROP TABLE conversation;
DROP TABLE code;
DROP TABLE token;
DROP TABLE block;
DROP TABLE friend_apply;
DROP TABLE friend;
DROP TABLE user_id;
DROP TABLE "user";
