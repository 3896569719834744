-- What lists show: views over the events, of which each kind has a table of its own (see event_index.py).
--
-- `position` orders events: the block's number, 20 bits up, and the log's number in it. `now` is the time of the last block
-- read, so what depends on time (expired, lapsed, lost) is true of one block, like all the rest. Nothing is stored that the
-- events do not say: dropping the events of a block undoes it.

CREATE VIEW clock AS
SELECT block, time AS now, time / 86400 AS today, max(time / 86400 - 6, 0) AS first_day
FROM cursor ORDER BY block DESC LIMIT 1;

-- --- health, as HealthBook.sol and NodeRegistry.sol have it ---

CREATE VIEW settled AS
SELECT position, time, challenge_id, node, 1 AS proved, 0 AS missed FROM ChallengeProved
UNION ALL
SELECT position, time, challenge_id, node, 0, fault = 'missed' FROM ChallengeFailed;

-- One row a node, day of the week and owner: what share of the owner's challenges the node proved, of 255.
CREATE VIEW judgements AS
SELECT settled.node, settled.time / 86400 AS day, challenger, 255 * sum(proved) / count(*) AS ratio
FROM settled JOIN ChallengeOpened USING (challenge_id), clock
WHERE settled.time / 86400 >= first_day
GROUP BY settled.node, settled.time / 86400, challenger;

CREATE VIEW node_health AS
WITH measured AS (
  SELECT
    n.node,
    now,
    slot_seconds,
    lost_slots,
    lost_misses,
    n.time AS registered_at,
    coalesce((SELECT max(time) FROM HeartbeatCounted b WHERE b.node = n.node), 0) AS last_heartbeat,
    (SELECT count(*) FROM HeartbeatCounted b WHERE b.node = n.node AND b.day >= first_day) AS counted,
    (now - max(first_day * 86400, n.time)) / slot_seconds AS possible,
    coalesce(j.judges, 0) AS judges,
    coalesce(j.ratios, 0) AS ratios,
    min(255, (
      SELECT count(*) FROM ChallengeFailed f
      WHERE f.node = n.node AND f.position > coalesce(a.position, 0)
    )) AS misses_in_row
  FROM NodeRegistered n
  JOIN clock
  JOIN deployment
  LEFT JOIN (
    SELECT node, count(*) AS judges, sum(ratio) AS ratios FROM judgements GROUP BY node
  ) j ON j.node = n.node
  LEFT JOIN (
    SELECT node, max(position) AS position FROM settled WHERE NOT missed GROUP BY node
  ) a ON a.node = n.node
  WHERE n.role = 'storage'
), rated AS (
  SELECT
    *,
    CASE WHEN judges = 0 THEN 10000 ELSE ratios * 10000 / (judges * 255) END AS success,
    CASE WHEN counted >= possible THEN 10000 ELSE counted * 10000 / possible END AS heartbeats,
    now > max(last_heartbeat, registered_at) + lost_slots * slot_seconds
      OR misses_in_row >= lost_misses AS lost
  FROM measured
), scored AS (
  SELECT *, (7 * success + 3 * heartbeats) / 10 AS score FROM rated
)
SELECT
  node, score, success, heartbeats, judges, misses_in_row, lost,
  CASE
    WHEN lost OR score < 6000 THEN 'red'
    WHEN score >= 8500 AND judges > 0 THEN 'green'
    ELSE 'yellow'
  END AS level
FROM scored;

-- --- nodes ---

CREATE VIEW nodes AS
SELECT
  r.position,
  r.node AS address,
  r.name,
  r.role,
  coalesce((SELECT c.online FROM NodeOnlineChanged c WHERE c.node = r.node ORDER BY position DESC LIMIT 1), 1)
    AS online,
  coalesce((SELECT d.draining FROM NodeDrainingChanged d WHERE d.node = r.node ORDER BY position DESC LIMIT 1), 0)
    AS draining,
  h.level,
  h.score,
  h.success,
  h.heartbeats,
  h.judges,
  h.misses_in_row,
  h.lost,
  coalesce(u.capacity, r.capacity) AS capacity,
  coalesce(k.used, 0) AS used,
  coalesce(k.holdings, 0) AS holdings,
  coalesce((SELECT s.stake FROM StakeChanged s WHERE s.node = r.node ORDER BY position DESC LIMIT 1), 0) AS stake,
  coalesce(u.endpoint, r.endpoint) AS endpoint,
  coalesce(u.tls_fingerprint, r.tls_fingerprint) AS tls_fingerprint,
  r.time AS registered_at,
  (SELECT max(time) FROM HeartbeatCounted b WHERE b.node = r.node) AS last_heartbeat_at
FROM NodeRegistered r
LEFT JOIN NodeUpdated u
  ON u.position = (SELECT max(position) FROM NodeUpdated WHERE node = r.node)
LEFT JOIN node_health h ON h.node = r.node
LEFT JOIN (
  SELECT a.node, sum(a.size) AS used, count(*) AS holdings
  FROM HoldingAdded a
  WHERE NOT EXISTS (SELECT 1 FROM HoldingReleased x WHERE x.holding_id = a.holding_id)
  GROUP BY a.node
) k ON k.node = r.node;

-- --- namespaces, files, holdings ---

CREATE VIEW namespaces AS
SELECT
  a.position,
  a.name,
  a.owner,
  a.namespace_id AS namespace,
  coalesce(r.needed, a.needed) AS needed,
  coalesce(r.total, a.total) AS total,
  a.possession,
  (SELECT count(*) FROM files f WHERE f.namespace_id = a.namespace_id AND f.status = 'live') AS files,
  a.time AS added_at
FROM NamespaceAdded a
LEFT JOIN RedundancyChanged r
  ON r.position = (SELECT max(position) FROM RedundancyChanged WHERE namespace_id = a.namespace_id);

-- Retention: 7 days after its expiry a file can still be renewed, and nodes keep it.
CREATE VIEW files AS
SELECT
  p.position,
  p.file_id AS file,
  p.owner,
  n.name AS namespace,
  p.namespace_id,
  coalesce(r.version, 1) AS version,
  coalesce(r.needed, p.needed) AS needed,
  coalesce(r.total, p.total) AS total,
  n.possession,
  p.size,
  p.rows,
  CASE
    WHEN d.position IS NOT NULL THEN 'deleted'
    WHEN now <= coalesce(r.expires_at, p.expires_at) THEN 'live'
    WHEN now <= coalesce(r.expires_at, p.expires_at) + 604800 THEN 'retained'
    WHEN EXISTS (
      SELECT 1 FROM HoldingAdded a
      WHERE a.file_id = p.file_id
        AND NOT EXISTS (SELECT 1 FROM HoldingReleased x WHERE x.holding_id = a.holding_id)
    ) THEN 'lapsed'
    ELSE 'cleared'
  END AS status,
  d.position IS NULL AND now > coalesce(r.expires_at, p.expires_at) AS expired,
  p.time AS published_at,
  r.time AS revised_at,
  coalesce(r.expires_at, p.expires_at) AS expires_at,
  d.time AS deleted_at,
  coalesce(r.manifest_digest, p.manifest_digest) AS manifest_digest,
  p.sealed_info
FROM FilePublished p
JOIN clock
JOIN NamespaceAdded n ON n.namespace_id = p.namespace_id
LEFT JOIN FileRevised r
  ON r.position = (SELECT max(position) FROM FileRevised WHERE file_id = p.file_id)
LEFT JOIN FileDeleted d ON d.file_id = p.file_id;

CREATE VIEW holdings AS
SELECT
  a.position,
  a.holding_id AS holding,
  a.file_id AS file,
  a.node,
  n.name AS node_name,
  p.owner,
  CASE
    WHEN x.position IS NOT NULL THEN 'released'
    WHEN e.position IS NOT NULL THEN 'releasing'
    ELSE 'live'
  END AS state,
  a.version,
  a.size,
  coalesce((
    SELECT f.fault FROM ChallengeOpened o JOIN ChallengeFailed f USING (challenge_id)
    WHERE o.holding_id = a.holding_id ORDER BY f.position DESC LIMIT 1
  ), 'none') AS fault,
  a.root,
  a.commitments_root,
  a.time AS added_at,
  CASE a.version
    WHEN 1 THEN p.expires_at
    ELSE (SELECT r.expires_at FROM FileRevised r WHERE r.file_id = a.file_id AND r.version = a.version)
  END AS expires_at,
  e.time AS ended_at,
  x.time AS released_at
FROM HoldingAdded a
JOIN FilePublished p ON p.file_id = a.file_id
JOIN NodeRegistered n ON n.node = a.node
LEFT JOIN HoldingEnded e ON e.holding_id = a.holding_id
LEFT JOIN HoldingReleased x ON x.holding_id = a.holding_id;

-- Live holdings that are not sound, and holdings missing from the total, as HealthBook.fileHealth counts them.
CREATE VIEW file_health AS
WITH unsound_nodes AS MATERIALIZED (
  SELECT address FROM nodes WHERE level = 'red' OR NOT online
), counted AS (
  SELECT
    f.position, f.file, f.owner, f.namespace, f.status, f.needed, f.total,
    (SELECT count(*) FROM holdings h WHERE h.file = f.file AND h.state = 'live') AS holdings,
    (
      SELECT count(*) FROM holdings h
      WHERE h.file = f.file AND h.state = 'live'
        AND now <= h.expires_at AND h.fault = 'none' AND h.node NOT IN unsound_nodes
    ) AS sound
  FROM files f JOIN clock
), missed AS (
  SELECT *, max(total, holdings) - sound AS unsound FROM counted
)
SELECT
  position, file, owner, namespace, status, needed, total, holdings, unsound,
  CASE
    WHEN holdings = 0 OR unsound + needed > total THEN 'red'
    WHEN unsound > 0 THEN 'yellow'
    ELSE 'green'
  END AS level
FROM missed;

-- --- authorizations: applied for, or granted unasked ---

CREATE VIEW authorizations AS
WITH begun AS (
  SELECT position, authorization_id, file_id, applier, owner, task_id, time AS applied_at
  FROM AuthorizationApplied
  UNION ALL
  SELECT position, authorization_id, file_id, applier, owner, task_id, NULL
  FROM AuthorizationApproved g
  WHERE NOT EXISTS (SELECT 1 FROM AuthorizationApplied a WHERE a.authorization_id = g.authorization_id)
)
SELECT
  b.position,
  b.authorization_id AS "authorization",
  CASE
    WHEN v.position IS NOT NULL THEN 'revoked'
    WHEN j.position IS NOT NULL THEN 'rejected'
    WHEN g.position IS NULL THEN 'unapproved'
    WHEN now > g.expires_at OR EXISTS (SELECT 1 FROM FileDeleted d WHERE d.file_id = b.file_id) THEN 'expired'
    ELSE 'approved'
  END AS status,
  b.file_id AS file,
  b.applier,
  b.owner,
  b.task_id AS task,
  b.applied_at,
  coalesce(v.time, j.time, g.time) AS decided_at,
  g.expires_at,
  coalesce(v.reason, j.reason) AS reason
FROM begun b
JOIN clock
LEFT JOIN AuthorizationApproved g ON g.authorization_id = b.authorization_id
LEFT JOIN AuthorizationRejected j ON j.authorization_id = b.authorization_id
LEFT JOIN AuthorizationRevoked v ON v.authorization_id = b.authorization_id;

-- --- challenges and slashes ---

-- A challenge that is neither answered nor drawn in time stays open on chain until somebody closes it.
CREATE VIEW challenges AS
SELECT
  o.position,
  o.challenge_id AS challenge,
  CASE
    WHEN y.position IS NOT NULL THEN 'proved'
    WHEN f.position IS NOT NULL THEN 'failed'
    WHEN v.position IS NOT NULL THEN 'void'
    WHEN d.position IS NULL THEN CASE WHEN block >= o.draw_block + 256 THEN 'lapsed' ELSE 'opened' END
    WHEN now > d.deadline THEN 'lapsed'
    ELSE 'to_prove'
  END AS status,
  coalesce(f.fault, 'none') AS fault,
  o.node,
  n.name AS node_name,
  o.challenger AS owner,
  o.file_id AS file,
  o.holding_id AS holding,
  o.algorithm,
  o.count,
  o.deposit,
  o.time AS opened_at,
  d.deadline AS answer_by,
  coalesce(y.time, f.time, v.time) AS settled_at
FROM ChallengeOpened o
JOIN clock
JOIN NodeRegistered n ON n.node = o.node
LEFT JOIN ChallengeDrawn d ON d.challenge_id = o.challenge_id
LEFT JOIN ChallengeProved y ON y.challenge_id = o.challenge_id
LEFT JOIN ChallengeFailed f ON f.challenge_id = o.challenge_id
LEFT JOIN ChallengeVoided v ON v.challenge_id = o.challenge_id;

-- The failure that a slash is for is the log just before it.
CREATE VIEW slashes AS
SELECT
  s.position,
  s.node,
  n.name AS node_name,
  s.owner,
  s.amount,
  s.burned,
  o.challenge_id AS challenge,
  f.fault,
  o.file_id AS file,
  o.holding_id AS holding,
  s.time AS slashed_at
FROM NodeSlashed s
JOIN NodeRegistered n ON n.node = s.node
JOIN ChallengeFailed f ON f.position = s.position - 1
JOIN ChallengeOpened o ON o.challenge_id = f.challenge_id;

-- --- migrations: revisions after which other nodes hold the file (+ keeps SQLite from taking the index by node) ---

CREATE VIEW migrations AS
WITH moves AS (
  SELECT
    r.position, r.file_id, r.owner, r.version, r.cause, r.time,
    (
      SELECT json_group_array(node) FROM (
        SELECT e.node FROM HoldingEnded e
        WHERE e.file_id = r.file_id AND e.version = r.version AND e."transaction" = r."transaction"
          AND NOT EXISTS (
            SELECT 1 FROM HoldingAdded a
            WHERE a.file_id = r.file_id AND a.version = r.version AND +a.node = e.node
          )
        ORDER BY e.position
      )
    ) AS went,
    (
      SELECT json_group_array(node) FROM (
        SELECT a.node FROM HoldingAdded a
        WHERE a.file_id = r.file_id AND a.version = r.version
          AND NOT EXISTS (
            SELECT 1 FROM HoldingEnded e
            WHERE e.file_id = r.file_id AND e.version = r.version AND e."transaction" = r."transaction"
              AND +e.node = a.node
          )
        ORDER BY a.position
      )
    ) AS joined
  FROM FileRevised r
)
SELECT position, file_id AS file, owner, version, cause, went AS "left", joined, time AS revised_at
FROM moves WHERE went <> '[]' OR joined <> '[]';

-- --- tasks ---

CREATE VIEW tasks AS
WITH standing AS (
  SELECT
    p.*,
    CASE
      WHEN f.position IS NOT NULL THEN 'finished'
      WHEN x.position IS NOT NULL OR r.position IS NOT NULL THEN 'failed'
      WHEN j.position IS NOT NULL THEN 'rejected'
      WHEN c.position IS NOT NULL THEN 'cancelled'
      WHEN t.position IS NOT NULL THEN 'timed_out'
      WHEN EXISTS (SELECT 1 FROM TaskBegun b WHERE b.task_id = p.task_id) THEN 'processing'
      WHEN EXISTS (SELECT 1 FROM TaskStarted s WHERE s.task_id = p.task_id) THEN 'to_process'
      WHEN EXISTS (SELECT 1 FROM TaskReady y WHERE y.task_id = p.task_id) THEN 'ready'
      ELSE 'confirming'
    END AS status,
    coalesce(x.reason, j.reason, CASE WHEN r.position IS NOT NULL THEN 'results differ' END) AS reason,
    coalesce(f.time, x.time, r.time, j.time, c.time, t.time) AS ended_at
  FROM TaskPublished p
  LEFT JOIN TaskFinished f ON f.task_id = p.task_id
  LEFT JOIN TaskFailed x ON x.task_id = p.task_id
  LEFT JOIN ReportsDisagree r ON r.task_id = p.task_id
  LEFT JOIN TaskRejected j ON j.task_id = p.task_id
  LEFT JOIN TaskCancelled c ON c.task_id = p.task_id
  LEFT JOIN TaskTimedOut t ON t.task_id = p.task_id
)
SELECT
  position,
  task_id AS task,
  kind,
  status,
  requester,
  (
    SELECT json_group_array(executor) FROM (
      SELECT i.executor FROM PartyInvited i WHERE i.task_id = standing.task_id ORDER BY i.position
    )
  ) AS executors,
  reward,
  model_task_id AS model,
  standing.time AS published_at,
  confirm_by,
  start_by,
  finish_by,
  ended_at,
  ended_at IS NULL AND now > CASE status
    WHEN 'confirming' THEN confirm_by WHEN 'ready' THEN start_by ELSE finish_by
  END AS overdue,
  reason,
  spec
FROM standing JOIN clock;
