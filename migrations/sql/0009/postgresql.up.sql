-- When peers and this site last held the same, for people.

-- statement: in_step
-- When a peer and this site last held the same, each way: received_at: when this site had all that the peer may
-- send; sent_at: when the peer had all that this site sends, and sent_position: how far this changelog reached then.
CREATE TABLE IF NOT EXISTS changecapture.in_step (
    site           varchar(64) COLLATE "C" NOT NULL PRIMARY KEY,
    received_at    bigint      NOT NULL DEFAULT 0,
    sent_at        bigint      NOT NULL DEFAULT 0,
    sent_position  bigint      NOT NULL DEFAULT 0
)
