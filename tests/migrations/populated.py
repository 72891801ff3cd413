"""One row in every table, as the revisions had them. Frozen: later revisions must carry these rows, not change them."""

TENANT = "0190a000-0000-7000-8000-000000000001"
PRINCIPAL = "0190a000-0000-7000-8000-000000000002"
OWNED = f"'{TENANT}', '{PRINCIPAL}', 1767225600000000"
D = "sha256:" + "ab" * 32


def _id(number: int) -> str:
    return f"'0190a000-0000-7000-8000-{number:012d}'"


AT_0001: dict[str, str] = {
    "tenant": "INSERT INTO tenant (id, name, stored_bytes, created_at)"
    f" VALUES ('{TENANT}', 'acme', 9, 1767225600000000)",
    "principal": "INSERT INTO principal (id, kind, name, trusted, tenant, created_by, created_at)"
    f" VALUES ('{PRINCIPAL}', 'person', 'ada', true, {OWNED})",
    "api_key": "INSERT INTO api_key (id, principal_id, prefix, secret_sha256, label, scopes, tenant, created_by,"
    " created_at)"
    f" VALUES ({_id(3)}, '{PRINCIPAL}', 'abc', 'bytes', 'key', '[\"read\"]', {OWNED})",
    "idempotency_key": "INSERT INTO idempotency_key"
    " (key, fingerprint, status, location, body, tenant, created_by, created_at)"
    f" VALUES ('k', '{D}', 202, '/v1/audits/1', '{{\"a\": 1e16}}', {OWNED})",
    "blob": 'INSERT INTO blob (digest, size, "references", tenant, created_by, created_at)'
    f" VALUES ('{D}', 9, 1, {OWNED})",
    "work": "INSERT INTO work (id, type, subject_id, queue, needs, solo, state, attempt, max_attempts, owner,"
    " lease_until, progress, stage, tenant, created_by, created_at)"
    f" VALUES ({_id(4)}, 'analysis', {_id(8)}, 'cpu', 'k@1', false, 'running', 1, 3, 'w',"
    f" 1767225600000000, 0.5, 'sweep', {OWNED})",
    "outbox": f"INSERT INTO outbox (work_id, queue, tenant, created_by, created_at) VALUES ({_id(4)}, 'cpu', {OWNED})",
    "event": "INSERT INTO event (subject_type, subject_id, action, after, detail, tenant, created_by, created_at)"
    f" VALUES ('analysis', {_id(8)}, 'queued', 'queued', '{{}}', {OWNED})",
    "worker": "INSERT INTO worker (id, queues, device, sandbox_level, kinds, lamina_version, started_at, last_seen_at)"
    " VALUES ('w', '[\"cpu\"]', 'cpu', 'full', '{\"k\": 1}', '0.1.0', 1, 2)",
    "model": "INSERT INTO model (id, name, version, source_digest, facts, canonical_digest, tenant, created_by,"
    " created_at)"
    f" VALUES ({_id(5)}, 'net', '1', '{D}', '{{\"task\": \"regression\"}}', '{D}', {OWNED})",
    "dataset": "INSERT INTO dataset (id, name, version, source_digest, facts, tenant, created_by, created_at)"
    f" VALUES ({_id(6)}, 'table', '1', '{D}', '{{}}', {OWNED})",
    "audit": "INSERT INTO audit (id, title, model_id, remaining, tenant, created_by, created_at)"
    f" VALUES ({_id(7)}, 'audit <b>', {_id(5)}, 1, {OWNED})",
    "input": f"INSERT INTO input (id, audit_id, role, dataset_id, tenant, created_by, created_at)"
    f" VALUES ({_id(9)}, {_id(7)}, 'evaluation', {_id(6)}, {OWNED})",
    "analysis": "INSERT INTO analysis (id, audit_id, position, kind, kind_version, queue, parameters,"
    " parameters_digest, work_id, tenant, created_by, created_at)"
    f" VALUES ({_id(8)}, {_id(7)}, 0, 'k', 1, 'cpu', '{{\"steps\": 50}}', '{D}', {_id(4)}, {OWNED})",
    "artifact": "INSERT INTO artifact (id, audit_id, analysis_id, name, title, media_type, digest, size, tenant,"
    " created_by, created_at)"
    f" VALUES ({_id(10)}, {_id(7)}, {_id(8)}, 'a.json', '', 'application/json', '{D}', 9, {OWNED})",
    "measurement": "INSERT INTO measurement (id, series_key, model_name, model_version, model_id, audit_id,"
    " analysis_id, kind, kind_version, metric, layer, epsilon,"
    " facets, parameters_digest, value, low, high, n, tenant,"
    " created_by, created_at)"
    f" VALUES ({_id(11)}, '{D}', 'net', '1', {_id(5)}, {_id(7)}, {_id(8)}, 'k', 1, 'layer_total', 'fc1', 0.1, '{{}}',"
    f" '{D}', 0.30000000000000004, 0.1, 0.5, 3, {OWNED})",
}

AT_0002: dict[str, str] = {
    "schedule": "INSERT INTO schedule (id, name, purpose, model_name, cron, zone, start_at, catch_up, triggers, task,"
    " next_at, tzdata, tenant, created_by, created_at)"
    f" VALUES ({_id(20)}, 'weekly', 'audits', 'net', '30 2 * * 1', 'Europe/Berlin', 1, 'latest_only', '[]', '{{}}', 2,"
    f" '2026.6', {OWNED})",
    "policy": "INSERT INTO policy (id, name, revision, content, digest, tenant, created_by, created_at)"
    f" VALUES ({_id(21)}, 'house', 1, '{{\"a\": 1e16}}', '{D}', {OWNED})",
    "baseline": "INSERT INTO baseline (id, model_name, audit_id, reason, tenant, created_by, created_at)"
    f" VALUES ({_id(22)}, 'net', {_id(7)}, 'first release', {OWNED})",
    "waiver": "INSERT INTO waiver (id, effect, control, reason, compensating, starts_at, expires_at, decision_comment,"
    " tenant, created_by, created_at)"
    f" VALUES ({_id(23)}, 'waived', 'ROB-01', 'why', 'what else', 1, 2, '', {OWNED})",
    "attestation": "INSERT INTO attestation (id, control, role, statement, document_title, expires_at, tenant,"
    " created_by, created_at)"
    f" VALUES ({_id(24)}, 'GOV-01', 'owner', 'it is so', '', 2, {OWNED})",
    "legal_hold": "INSERT INTO legal_hold (id, model_name, reason, lift_reason, tenant, created_by, created_at)"
    f" VALUES ({_id(34)}, 'net', 'a claim', '', {OWNED})",
    "compliance_report": "INSERT INTO compliance_report (id, title, model_name, model_id, policy_id, schedule_id,"
    ' window_from, window_to, zone, as_of, late_seconds, "trigger", frameworks, revision, state, tenant, created_by,'
    " created_at)"
    f" VALUES ({_id(25)}, 'monthly', 'net', {_id(5)}, {_id(21)}, {_id(20)}, 1, 2, 'UTC', 2, 0, 'time', '[]', 1,"
    f" 'generated', {OWNED})",
    "report_file": "INSERT INTO report_file (id, report_id, name, media_type, digest, size, tenant, created_by,"
    " created_at)"
    f" VALUES ({_id(26)}, {_id(25)}, 'report.json', 'application/json', '{D}', 9, {OWNED})",
    "verdict": "INSERT INTO verdict (id, report_id, model_name, control, position, as_of, status, waived, value,"
    " tenant, created_by, created_at)"
    f" VALUES ({_id(27)}, {_id(25)}, 'net', 'ROB-01', 0, 2, 'met', false, 0.30000000000000004, {OWNED})",
    "sign_off": "INSERT INTO sign_off (id, report_id, step, name, role, comment, digest, key_id, signature, tenant,"
    " created_by, created_at)"
    f" VALUES ({_id(28)}, {_id(25)}, 'approved', 'ada', 'auditor', '', '{D}', '{D}', 'c2ln', {OWNED})",
    "slot": 'INSERT INTO slot (id, schedule_id, "key", cause, nominal_at, window_from, window_to, state, late_seconds,'
    " attempt, audit_id, report_id, tenant, created_by, created_at)"
    f" VALUES ({_id(29)}, {_id(20)}, 'time:x', 'time', 2, 1, 2, 'started', 0, 1, {_id(7)}, {_id(25)}, {OWNED})",
    "chain": "INSERT INTO chain (tenant, created_by, created_at, size, chain_hash, frontier)"
    f" VALUES ({OWNED}, 0, '{D}', '[]')",
    "tree_head": "INSERT INTO tree_head (id, size, root, chain_hash, key_id, signature, tenant, created_by, created_at)"
    f" VALUES ({_id(30)}, 0, '{D}', '{D}', '{D}', 'c2ln', {OWNED})",
    "signing_key": f"INSERT INTO signing_key (id, public_key, created_at) VALUES ('{D}', 'bytes', 1)",
    "webhook": "INSERT INTO webhook (id, url, least, generation, failures, tenant, created_by, created_at)"
    f" VALUES ({_id(31)}, 'https://example.org', 'medium', 1, 0, {OWNED})",
    "mail_recipient": "INSERT INTO mail_recipient (id, address, least, failures, tenant, created_by, created_at)"
    f" VALUES ({_id(35)}, 'ada@example.org', 'medium', 0, {OWNED})",
    "alert": 'INSERT INTO alert (id, "key", severity, "text", detail, tenant, created_by, created_at)'
    f" VALUES ({_id(32)}, 'k', 'high', 'it fell', '{{}}', {OWNED})",
    "delivery": "INSERT INTO delivery (id, webhook_id, alert_id, event, body, log, tenant, created_by, created_at)"
    f" VALUES ({_id(33)}, {_id(31)}, {_id(32)}, 'opened', '{{}}', '[]', {OWNED})",
}
