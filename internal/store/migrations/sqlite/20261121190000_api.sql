-- +goose Up

-- Where somebody is logged in with a refresh token. Each device is one family of such tokens, of which one is live.
CREATE TABLE device (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
    user_id    INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    name       TEXT    NOT NULL DEFAULT '',       -- what the client says of itself
    ip         TEXT    NOT NULL DEFAULT '',
    family     BLOB    NOT NULL UNIQUE,           -- hash
    secret     BLOB    NOT NULL,                  -- hash of the live token's
    former     BLOB,                              -- hash of the one before
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX device_user ON device (user_id);
CREATE INDEX device_expiry ON device (expires_at);

-- +goose Down
DROP TABLE device;
