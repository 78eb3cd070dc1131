-- When peers and this site last held the same, for people.

-- statement: in_step
-- When a peer and this site last held the same, each way: received_at: when this site had all that the peer may
-- send; sent_at: when the peer had all that this site sends, and sent_position: how far this changelog reached then.
CREATE TABLE IF NOT EXISTS changecapture_in_step (
    site           varchar(64) NOT NULL PRIMARY KEY,
    received_at    bigint      NOT NULL DEFAULT 0,
    sent_at        bigint      NOT NULL DEFAULT 0,
    sent_position  bigint      NOT NULL DEFAULT 0
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */
