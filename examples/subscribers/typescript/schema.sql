-- Two instances may start at once: the lock, which ends with this script's transaction, lets one make the tables.
SELECT pg_advisory_xact_lock(hashtextextended('welcome list', 0));

-- What has been done already. A row is written in the transaction that does the work.
CREATE TABLE IF NOT EXISTS handled_facts (
    ce_id uuid PRIMARY KEY,
    handled_at timestamptz NOT NULL DEFAULT now()
);

-- The work: nothing here stops a second row for the same fact; that is what handled_facts is for.
CREATE TABLE IF NOT EXISTS welcome_list (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ce_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    account_id uuid NOT NULL
);

-- What could not be read: where it is in Kafka, which keeps the record itself, and why.
CREATE TABLE IF NOT EXISTS unreadable_records (
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    reason text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, record_offset)
);
