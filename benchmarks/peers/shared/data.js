// What the Node peers read and write: flat statements, prepared by name, over one pool of node-postgres.

import { createHash, randomUUID } from "node:crypto";

const NAMESPACE = Buffer.from("7c8e1f642f0a5d1b9a573b1f5f0f8c11", "hex");
const USER = `id, email, first_name AS "firstName", last_name AS "lastName"`;
const PROJECT = `id, code, name, status, start_date AS "startDate", end_date AS "endDate"`;
const HAS_VALUE = "(stated IS NOT NULL OR expected <> 0 OR actual IS NOT NULL)";

const STATEMENTS = {
  users: `SELECT ${USER} FROM users WHERE id = ANY($1)`,
  projects: `SELECT ${PROJECT} FROM projects WHERE id = ANY($1)`,
  projectPage: `SELECT ${PROJECT} FROM projects WHERE deleted_at IS NULL ORDER BY lower(code), id OFFSET $1 LIMIT $2`,
  assignments: `SELECT id, rate, start_date AS "startDate", end_date AS "endDate", user_id AS "userId",
      project_id AS "projectId"
    FROM assignments WHERE project_id = ANY($1) AND deleted_at IS NULL ORDER BY start_date, id`,
  people: `SELECT ${USER} FROM users AS u
    WHERE NOT is_service AND (is_active OR (status = 'LEFT' AND EXISTS (SELECT FROM contracts AS c
      WHERE c.user_id = u.id AND c.start_date < ($2::date + interval '1 month')
        AND (c.end_date IS NULL OR c.end_date >= $1::date)))
      OR (status = 'DEACTIVATED' AND EXISTS (SELECT FROM forecasts AS f
        WHERE f.user_id = u.id AND f.month BETWEEN $1::date AND $2::date AND COALESCE(f.stated, f.expected) <> 0)))
    ORDER BY lower(last_name), lower(first_name), id OFFSET $3 LIMIT $4`,
  capacities: `SELECT user_id AS "userId", month, COALESCE(override, computed) AS capacity
    FROM capacities WHERE user_id = ANY($1) AND month BETWEEN $2 AND $3`,
  cells: `SELECT id, user_id AS "userId", project_id AS "projectId", month, COALESCE(stated, expected) AS days, version
    FROM forecasts WHERE user_id = ANY($1) AND month BETWEEN $2 AND $3 AND ${HAS_VALUE}
    ORDER BY user_id, month, project_id`,
  writeLock: "SELECT pg_advisory_xact_lock_shared(1886152046)",
  shareProjects: "SELECT id, status, archived_at, deleted_at FROM projects WHERE id = ANY($1) ORDER BY id FOR SHARE",
  shareUsers: "SELECT id FROM users WHERE id = ANY($1) AND NOT is_service ORDER BY id FOR SHARE",
  closed: "SELECT month FROM closed_months WHERE month = ANY($1::date[])",
  horizon: "SELECT horizon_start, horizon_end FROM company_settings",
  insertMissing: `INSERT INTO forecasts (id, user_id, project_id, month)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[]) AS new (id, user_id, project_id, month)
    ORDER BY id ON CONFLICT DO NOTHING`,
  lockCells: "SELECT id, stated, version FROM forecasts WHERE id = ANY($1) ORDER BY id FOR UPDATE",
  state: `UPDATE forecasts AS f SET stated = new.stated, source = 'MANUAL', version = new.version,
      updated_by_id = $4, updated_at = now()
    FROM unnest($1::uuid[], $2::numeric[], $3::integer[]) AS new (id, stated, version) WHERE f.id = new.id`,
  audit: `INSERT INTO audit_logs (id, actor_id, action, resource_type, metadata)
    VALUES ($1, $2, 'cells.written', 'cell', $3)`,
};

/** Dates as PostgreSQL writes them: node-postgres would make a Date of each, which is slower and in local time. */
export function configure(pg) {
  pg.types.setTypeParser(1082, (text) => text);
  return new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });
}

async function run(client, name, values = []) {
  return (await client.query({ name, text: STATEMENTS[name], values })).rows;
}

export const firstDay = (month) => `${month}-01`;
const cents = (days) => Math.round(Number(days) * 100);
const asDays = (total) => (total / 100).toFixed(2);

function* monthsBetween(first, last) {
  let [year, month] = first.split("-").map(Number);
  for (;;) {
    const name = `${year}-${String(month).padStart(2, "0")}`;
    yield name;
    if (name >= last) return;
    [year, month] = month === 12 ? [year + 1, 1] : [year, month + 1];
  }
}

export function makeData(pool) {
  const byId = async (name, ids) => {
    const rows = new Map((await run(pool, name, [[...new Set(ids)]])).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id));
  };
  return {
    usersByIds: (ids) => byId("users", ids),
    projectsByIds: (ids) => byId("projects", ids),
    projectPage: (page, size) => run(pool, "projectPage", [(page - 1) * size, size]),
    async assignmentsOf(ids) {
      const groups = new Map(ids.map((id) => [id, []]));
      for (const row of await run(pool, "assignments", [ids])) groups.get(row.projectId).push(row);
      return ids.map((id) => groups.get(id));
    },
    async planning(from, to, page, size) {
      const first = firstDay(from);
      const last = firstDay(to);
      const people = await run(pool, "people", [first, last, (page - 1) * size, size]);
      const months = await monthsOf(pool, people.map((user) => user.id), first, last);
      const range = [...monthsBetween(from, to)];
      return people.map((user) => ({ user, months: range.map((month) => months(user.id, month)) }));
    },
    write: (cells, actor) => write(pool, cells, actor),
  };
}

async function monthsOf(client, ids, first, last) {
  const values = [ids, first, last];
  const read = [() => run(client, "capacities", values), () => run(client, "cells", values)];
  const pooled = "totalCount" in client;
  const [capacities, cells] = pooled
    ? await Promise.all(read.map((each) => each()))
    : [await read[0](), await read[1]()];
  const found = new Map();
  const at = (userId, month) => {
    const key = `${userId}|${month}`;
    let row = found.get(key);
    if (!row) found.set(key, (row = { month, capacity: "0.00", load: "0.00", cents: 0, cells: [] }));
    return row;
  };
  for (const row of capacities) at(row.userId, row.month.slice(0, 7)).capacity = row.capacity;
  for (const cell of cells) {
    const row = at(cell.userId, cell.month.slice(0, 7));
    row.cells.push(cell);
    row.cents += cents(cell.days);
    row.load = asDays(row.cents);
  }
  return at;
}

function cellId({ userId, projectId, month }) {
  const hash = createHash("sha1").update(NAMESPACE).update(`${userId}|${projectId}|${month}`).digest();
  hash[6] = (hash[6] & 0x0f) | 0x50;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  const hex = hash.toString("hex", 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

async function write(pool, inputs, actor) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const answer = await writeCells(client, inputs, actor);
    await client.query("COMMIT");
    return answer;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function writeCells(client, inputs, actor) {
  const wanted = inputs.map((input) => ({ ...input, id: cellId(input) }));
  await run(client, "writeLock");
  const projectIds = [...new Set(wanted.map((cell) => cell.projectId))];
  const projects = new Map((await run(client, "shareProjects", [projectIds])).map((row) => [row.id, row]));
  const userIds = [...new Set(wanted.map((cell) => cell.userId))];
  const users = new Set((await run(client, "shareUsers", [userIds])).map((row) => row.id));
  const months = [...new Set(wanted.map((cell) => cell.month))].sort();
  const closed = new Set((await run(client, "closed", [months.map(firstDay)])).map((row) => row.month.slice(0, 7)));
  const [horizon] = await run(client, "horizon");
  for (const cell of wanted) refuse(cell, users, projects.get(cell.projectId), closed, horizon);
  const ids = wanted.map((cell) => cell.id);
  await run(client, "insertMissing", [
    ids,
    wanted.map((cell) => cell.userId),
    wanted.map((cell) => cell.projectId),
    wanted.map((cell) => firstDay(cell.month)),
  ]);
  const before = new Map((await run(client, "lockCells", [ids])).map((row) => [row.id, row]));
  const changed = wanted.filter((cell) => cents(before.get(cell.id).stated ?? -1) !== cents(cell.days));
  for (const cell of wanted) cell.version = before.get(cell.id).version + (changed.includes(cell) ? 1 : 0);
  await run(client, "state", [
    changed.map((cell) => cell.id),
    changed.map((cell) => cell.days),
    changed.map((cell) => cell.version),
    actor,
  ]);
  const metadata = { cells: ids, before: Object.fromEntries(before), after: wanted };
  await run(client, "audit", [randomUUID(), actor, JSON.stringify(metadata)]);
  const at = await monthsOf(client, userIds, firstDay(months[0]), firstDay(months.at(-1)));
  const touched = new Map(wanted.map((cell) => [`${cell.month}|${cell.userId}`, at(cell.userId, cell.month)]));
  return {
    results: wanted.map((cell, index) => ({
      index,
      outcome: changed.includes(cell) ? "APPLIED" : "UNCHANGED",
      cell: { id: cell.id, days: cell.days, version: cell.version, projectId: cell.projectId },
    })),
    months: [...touched.keys()].sort().map((key) => touched.get(key)),
    problems: [],
  };
}

function refuse(cell, users, project, closed, horizon) {
  const open = project && !["DONE", "CANCELLED"].includes(project.status) && !project.archived_at && !project.deleted_at;
  const day = firstDay(cell.month);
  if (!users.has(cell.userId)) throw new Error("unknown user");
  if (!open) throw new Error("the project takes no load");
  if (closed.has(cell.month)) throw new Error("the month is closed");
  if (day < horizon.horizon_start || day > horizon.horizon_end) throw new Error("outside the plan");
}
