-- Keys compare as bytes, spaces at the end too: each server reads its own comment, which names its NO PAD
-- collation. captured and missed, which the application writes, hold no keys to compare and are left.

-- statement: site
ALTER TABLE changecapture_site CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: synced_table
ALTER TABLE changecapture_synced_table CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: changelog
ALTER TABLE changecapture_changelog CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: pass
ALTER TABLE changecapture_pass CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: context
ALTER TABLE changecapture_context CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: vector
ALTER TABLE changecapture_vector CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: row_version
ALTER TABLE changecapture_row_version CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: deleted_row
ALTER TABLE changecapture_deleted_row CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: local_key
ALTER TABLE changecapture_local_key CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: parked
ALTER TABLE changecapture_parked CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: waiting
ALTER TABLE changecapture_waiting CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: conflict
ALTER TABLE changecapture_conflict CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: peer
ALTER TABLE changecapture_peer CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: meeting
ALTER TABLE changecapture_meeting CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: life
ALTER TABLE changecapture_life CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: contested
ALTER TABLE changecapture_contested CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: compaction
ALTER TABLE changecapture_compaction CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: tide
ALTER TABLE changecapture_tide CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: exchange_log
ALTER TABLE changecapture_exchange_log CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: sync_instance
ALTER TABLE changecapture_sync_instance CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: key_alias
ALTER TABLE changecapture_key_alias CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: mapping
ALTER TABLE changecapture_mapping CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: mapped_row
ALTER TABLE changecapture_mapped_row CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: shortened
ALTER TABLE changecapture_shortened CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: stretch
ALTER TABLE changecapture_stretch CONVERT TO CHARACTER SET utf8mb4
    COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */
