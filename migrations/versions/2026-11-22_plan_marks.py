"""Marks of the transactions that wrote what the plan is read from: kept answers hold while these stay the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_plan_marks"
down_revision = "0002_sync"
branch_labels = None
depends_on = None

TABLES = (
    "absences",
    "alembic_version",  # no trigger sees ALTER TABLE change values, but every migration is noted there
    "assignments",
    "business_units",
    "calendar_days",
    "capacities",
    "closed_months",
    "company_settings",
    "contracts",
    "forecasts",
    "projects",
    "stale_users",
)

# Once per transaction: a row written again and again by one transaction is found ever more slowly. With the rights of
# its owner and a search path of its own, so that who may write a cell but not this table, who has no path (replication)
# and who has a temporary table of that name leave their marks here as well.
MARK = """
CREATE FUNCTION mark_plan() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO plan_marks AS held (backend, transaction, server_started_at)
    VALUES (pg_backend_pid(), pg_current_xact_id()::text::bigint, pg_postmaster_start_time())
    ON CONFLICT (backend) DO UPDATE
    SET transaction = excluded.transaction, server_started_at = excluded.server_started_at
    WHERE held.transaction <> excluded.transaction OR held.server_started_at <> excluded.server_started_at;
    RETURN NULL;
END
$$
"""
HERE = """
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION mark_plan() SET search_path = %I, pg_temp', current_schema());
END $$
"""


def _trigger(table: str, when: str) -> None:
    op.execute(f"CREATE TRIGGER mark_plan AFTER {when} EXECUTE FUNCTION mark_plan()")
    # Also for who loads data with session_replication_role = replica, as logical replication does.
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER mark_plan")


def upgrade() -> None:
    op.create_table(
        "plan_marks",
        sa.Column("backend", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("server_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("backend", name=op.f("pk_plan_marks")),
    )
    op.execute("ALTER TABLE plan_marks SET (fillfactor = 30)")  # updates stay on their page
    op.execute(MARK)
    op.execute(HERE)
    for table in TABLES:
        _trigger(table, f"INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT")
    _trigger("users", "INSERT OR DELETE OR TRUNCATE ON users FOR EACH STATEMENT")
    # A sign-in changes nothing of the plan. Row by row, because a statement's trigger does not see what changed.
    op.execute(
        "CREATE TRIGGER mark_plan_of_user AFTER UPDATE ON users FOR EACH ROW"
        " WHEN ((to_jsonb(OLD) - 'last_login_at') IS DISTINCT FROM (to_jsonb(NEW) - 'last_login_at'))"
        " EXECUTE FUNCTION mark_plan()"
    )
    op.execute("ALTER TABLE users ENABLE ALWAYS TRIGGER mark_plan_of_user")
    # What takes marks away leaves one: else the rest could look as it did before what was taken away.
    _trigger("plan_marks", "DELETE OR TRUNCATE ON plan_marks FOR EACH STATEMENT")


def downgrade() -> None:
    op.execute("DROP TRIGGER mark_plan_of_user ON users")
    for table in (*TABLES, "users"):
        op.execute(f"DROP TRIGGER mark_plan ON {table}")
    op.drop_table("plan_marks")
    op.execute("DROP FUNCTION mark_plan()")
