PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE counters (
    kind TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, value INTEGER, mark TEXT, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE energy (
    gpu_uuid TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, level INTEGER NOT NULL DEFAULT 0,
    energy INTEGER NOT NULL
);
CREATE TABLE extensions (
    at INTEGER NOT NULL, container TEXT NOT NULL, user TEXT NOT NULL, duration INTEGER NOT NULL,
    PRIMARY KEY (at, container)
) WITHOUT ROWID;
CREATE TABLE idle_stops (
    at INTEGER NOT NULL, container TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (at, container)
) WITHOUT ROWID;
CREATE TABLE leases (
    id INTEGER PRIMARY KEY, record TEXT NOT NULL, uuid TEXT NOT NULL, slot TEXT NOT NULL, gpu_uuid TEXT,
    kind TEXT NOT NULL, profile TEXT, container TEXT NOT NULL, user TEXT NOT NULL, uid INTEGER NOT NULL,
    user_group TEXT NOT NULL, project TEXT, image TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, ended TEXT
);
INSERT INTO "leases" VALUES(1,'r','GPU-x','0',NULL,'full',NULL,'old._.70001','alice',70001,'default',NULL,'i',1000000,2000000,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE samples (
    lease INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, level INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL, idle INTEGER NOT NULL, unknown INTEGER NOT NULL, measured INTEGER NOT NULL,
    used INTEGER NOT NULL, memory INTEGER NOT NULL, memory_time INTEGER NOT NULL, cpu INTEGER NOT NULL,
    cpu_time INTEGER NOT NULL, energy INTEGER NOT NULL, energy_time INTEGER NOT NULL
);
CREATE TABLE slots (
    uuid TEXT PRIMARY KEY, slot TEXT NOT NULL, gpu INTEGER NOT NULL, gpu_uuid TEXT NOT NULL, kind TEXT NOT NULL,
    profile TEXT, model TEXT NOT NULL, slices INTEGER NOT NULL, present INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE spans (lease INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER);
INSERT INTO "spans" VALUES(1,'leased',1000000,2000000);
CREATE TABLE waits (
    at INTEGER NOT NULL, container TEXT NOT NULL, user TEXT NOT NULL, uid INTEGER NOT NULL, user_group TEXT NOT NULL,
    project TEXT, image TEXT, duration INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (at, container)
) WITHOUT ROWID;
CREATE INDEX leases_of_record ON leases (record, uuid);
CREATE INDEX leases_by_end ON leases (until);
CREATE INDEX spans_of_lease ON spans (lease);
CREATE INDEX samples_by_time ON samples (since);
CREATE INDEX samples_by_level ON samples (level, since);
CREATE INDEX energy_by_time ON energy (since);
CREATE INDEX energy_by_level ON energy (level, since);
COMMIT;
