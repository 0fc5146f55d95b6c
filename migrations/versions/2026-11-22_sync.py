"""Syncs: runs, staging, refusals, mappings, external people and projects, tasks, conflicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_sync"
down_revision = "0001_initial"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "simulated_companies",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("company", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_simulated_companies_is_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_simulated_companies")),
    )
    op.create_table(
        "external_people",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "provider",
            sa.Enum("PAYFIT", "GRYZZLY", name="provider", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "UNMATCHED",
                "PROPOSED",
                "LINKED",
                "SET_ASIDE",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("proposed_user_id", sa.Uuid(), nullable=True),
        sa.Column("score", sa.Numeric(precision=3, scale=2), nullable=True),
        sa.Column("given", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'PROPOSED') = (proposed_user_id IS NOT NULL)", name=op.f("ck_external_people_proposes_someone")
        ),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_external_people_score_is_a_share")),
        sa.ForeignKeyConstraint(
            ["proposed_user_id"], ["users.id"], name=op.f("fk_external_people_proposed_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_people")),
        sa.UniqueConstraint("provider", "external_id", name=op.f("uq_external_people_provider_external_id")),
    )
    op.create_index(op.f("ix_external_people_proposed_user_id"), "external_people", ["proposed_user_id"], unique=False)
    op.create_index(op.f("ix_external_people_state"), "external_people", ["state"], unique=False)
    op.create_table(
        "external_projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "provider",
            sa.Enum("PAYFIT", "GRYZZLY", name="provider", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("given", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_external_projects_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_projects")),
        sa.UniqueConstraint("provider", "external_id", name=op.f("uq_external_projects_provider_external_id")),
        sa.UniqueConstraint("provider", "project_id", name=op.f("uq_external_projects_provider_project_id")),
    )
    op.create_index(op.f("ix_external_projects_project_id"), "external_projects", ["project_id"], unique=False)
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "provider",
            sa.Enum("PAYFIT", "GRYZZLY", name="provider", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "NEVER_RUN",
                "QUEUED",
                "RUNNING",
                "SUCCEEDED",
                "FAILED",
                "CANCELLED",
                "LOST",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "trigger",
            sa.Enum(
                "PERSON", "SCHEDULE", "COMMAND", name="trigger", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("started_by_id", sa.Uuid(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("progress", sa.Numeric(precision=5, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "position", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'RUNNING') = (lease IS NOT NULL)", name=op.f("ck_sync_runs_runs_under_a_lease")),
        sa.CheckConstraint("state <> 'NEVER_RUN'", name=op.f("ck_sync_runs_has_run")),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_sync_runs_progress_is_a_percentage")),
        sa.ForeignKeyConstraint(
            ["started_by_id"], ["users.id"], name=op.f("fk_sync_runs_started_by_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
    )
    op.create_index("ix_sync_runs_provider_id", "sync_runs", ["provider", "id"], unique=False)
    op.create_index(op.f("ix_sync_runs_started_by_id"), "sync_runs", ["started_by_id"], unique=False)
    op.create_index(
        "uq_sync_runs_active",
        "sync_runs",
        ["provider"],
        unique=True,
        postgresql_where=sa.text("state IN ('QUEUED', 'RUNNING')"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column(
            "provider",
            sa.Enum("PAYFIT", "GRYZZLY", name="provider", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["tasks.id"], name=op.f("fk_tasks_parent_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tasks_project_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("provider", "external_id", name=op.f("uq_tasks_provider_external_id")),
    )
    op.create_index(op.f("ix_tasks_parent_id"), "tasks", ["parent_id"], unique=False)
    op.create_index(op.f("ix_tasks_project_id"), "tasks", ["project_id"], unique=False)
    op.create_table(
        "user_mappings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("gryzzly_user_id", sa.Text(), nullable=True),
        sa.Column("payfit_employee_id", sa.Text(), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("created_by_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(gryzzly_user_id, payfit_employee_id) > 0", name=op.f("ck_user_mappings_maps_something")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_user_mappings_created_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_mappings_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_mappings")),
        sa.UniqueConstraint("gryzzly_user_id", name=op.f("uq_user_mappings_gryzzly_user_id")),
        sa.UniqueConstraint("payfit_employee_id", name=op.f("uq_user_mappings_payfit_employee_id")),
        sa.UniqueConstraint("user_id", name=op.f("uq_user_mappings_user_id")),
    )
    op.create_index(op.f("ix_user_mappings_created_by_id"), "user_mappings", ["created_by_id"], unique=False)
    op.create_table(
        "sync_conflicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "provider",
            sa.Enum("PAYFIT", "GRYZZLY", name="provider", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "resource",
            sa.Enum("USER", "PROJECT", name="resource", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("local_value", sa.Text(), nullable=True),
        sa.Column("external_value", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "OPEN", "KEPT", "TAKEN", "SETTLED", name="state", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("resolved_by_id", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["resolved_by_id"], ["users.id"], name=op.f("fk_sync_conflicts_resolved_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["sync_runs.id"], name=op.f("fk_sync_conflicts_run_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_conflicts")),
        sa.UniqueConstraint(
            "provider",
            "resource",
            "resource_id",
            "field",
            name=op.f("uq_sync_conflicts_provider_resource_resource_id_field"),
        ),
    )
    op.create_index(op.f("ix_sync_conflicts_resolved_by_id"), "sync_conflicts", ["resolved_by_id"], unique=False)
    op.create_index(op.f("ix_sync_conflicts_run_id"), "sync_conflicts", ["run_id"], unique=False)
    op.create_index("ix_sync_conflicts_state_id", "sync_conflicts", ["state", "id"], unique=False)
    op.create_table(
        "sync_refusals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "PERSON",
                "CONTRACT",
                "ABSENCE",
                "PROJECT",
                "TASK",
                "DECLARATION",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_refusals_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_refusals")),
    )
    op.create_index("ix_sync_refusals_run_id_kind_code", "sync_refusals", ["run_id", "kind", "code"], unique=False)
    op.create_table(
        "sync_staging",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "PERSON",
                "CONTRACT",
                "ABSENCE",
                "PROJECT",
                "TASK",
                "DECLARATION",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_staging_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "kind", "external_id", name=op.f("pk_sync_staging")),
    )


def downgrade() -> None:
    op.drop_table("sync_staging")
    op.drop_index("ix_sync_refusals_run_id_kind_code", table_name="sync_refusals")
    op.drop_table("sync_refusals")
    op.drop_index("ix_sync_conflicts_state_id", table_name="sync_conflicts")
    op.drop_index(op.f("ix_sync_conflicts_run_id"), table_name="sync_conflicts")
    op.drop_index(op.f("ix_sync_conflicts_resolved_by_id"), table_name="sync_conflicts")
    op.drop_table("sync_conflicts")
    op.drop_index(op.f("ix_user_mappings_created_by_id"), table_name="user_mappings")
    op.drop_table("user_mappings")
    op.drop_index(op.f("ix_tasks_project_id"), table_name="tasks")
    op.drop_index(op.f("ix_tasks_parent_id"), table_name="tasks")
    op.drop_table("tasks")
    op.drop_index(
        "uq_sync_runs_active", table_name="sync_runs", postgresql_where=sa.text("state IN ('QUEUED', 'RUNNING')")
    )
    op.drop_index(op.f("ix_sync_runs_started_by_id"), table_name="sync_runs")
    op.drop_index("ix_sync_runs_provider_id", table_name="sync_runs")
    op.drop_table("sync_runs")
    op.drop_index(op.f("ix_external_projects_project_id"), table_name="external_projects")
    op.drop_table("external_projects")
    op.drop_index(op.f("ix_external_people_state"), table_name="external_people")
    op.drop_index(op.f("ix_external_people_proposed_user_id"), table_name="external_people")
    op.drop_table("external_people")
    op.drop_table("simulated_companies")
