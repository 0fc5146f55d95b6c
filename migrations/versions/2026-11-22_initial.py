"""The first schema: people, access, projects, the plan, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None


APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$
"""


def upgrade() -> None:
    # btree_gist lets one EXCLUDE constraint compare a user's id and a range of dates; it is a trusted extension,
    # so the database's owner may create it.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.create_table(
        "business_units",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(name) <> ''", name=op.f("ck_business_units_name_is_not_blank")),
        sa.CheckConstraint("code <> '' AND code = btrim(code)", name=op.f("ck_business_units_code_is_trimmed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_business_units")),
    )
    op.create_index("uq_business_units_code", "business_units", [sa.literal_column("lower(code)")], unique=True)
    op.create_table(
        "calendar_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("worked", sa.Boolean(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.CheckConstraint("btrim(label) <> ''", name=op.f("ck_calendar_days_label_is_not_blank")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_days")),
    )
    op.create_table(
        "company_settings",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("country", sa.Text(), server_default=sa.text("'FR'"), nullable=False),
        sa.Column("subdivision", sa.Text(), nullable=True),
        sa.Column("step", sa.Numeric(precision=3, scale=2), nullable=True),
        sa.Column("seconds_per_day", sa.Integer(), server_default=sa.text("25200"), nullable=False),
        sa.Column("non_reducing_absence_types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("predictable_leave_types", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("horizon_start", sa.Date(), nullable=False),
        sa.Column("horizon_end", sa.Date(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "extract(day from horizon_end) = 1", name=op.f("ck_company_settings_horizon_end_is_first_day")
        ),
        sa.CheckConstraint(
            "extract(day from horizon_start) = 1", name=op.f("ck_company_settings_horizon_start_is_first_day")
        ),
        sa.CheckConstraint("horizon_end >= horizon_start", name=op.f("ck_company_settings_horizon_in_order")),
        sa.CheckConstraint("id = 1", name=op.f("ck_company_settings_is_one_row")),
        sa.CheckConstraint(
            "seconds_per_day BETWEEN 3600 AND 86400", name=op.f("ck_company_settings_seconds_per_day_fit")
        ),
        sa.CheckConstraint("step IN (0.5, 0.25, 0.1)", name=op.f("ck_company_settings_step_is_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_settings")),
    )
    op.create_table(
        "permissions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
        sa.UniqueConstraint("code", name=op.f("uq_permissions_code")),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("shipped", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(name) <> ''", name=op.f("ck_roles_name_is_not_blank")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
    )
    op.create_index("uq_roles_name", "roles", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "sign_in_failures",
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key_hash", name=op.f("pk_sign_in_failures")),
    )
    op.create_index(op.f("ix_sign_in_failures_last_failure_at"), "sign_in_failures", ["last_failure_at"], unique=False)
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "PLANNED",
                "ACTIVE",
                "ON_HOLD",
                "DONE",
                "CANCELLED",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("business_unit_id", sa.Uuid(), nullable=True),
        sa.Column("productive", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(name) <> ''", name=op.f("ck_projects_name_is_not_blank")),
        sa.CheckConstraint("code <> '' AND code = btrim(code)", name=op.f("ck_projects_code_is_trimmed")),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_projects_dates_in_order")),
        sa.ForeignKeyConstraint(
            ["business_unit_id"], ["business_units.id"], name=op.f("fk_projects_business_unit_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_index(op.f("ix_projects_business_unit_id"), "projects", ["business_unit_id"], unique=False)
    op.create_index(op.f("ix_projects_status"), "projects", ["status"], unique=False)
    op.create_index(op.f("ix_projects_updated_at"), "projects", ["updated_at"], unique=False)
    op.create_index(
        "uq_projects_code",
        "projects",
        [sa.literal_column("lower(code)")],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "role_permissions",
        sa.Column("role_id", sa.Uuid(), nullable=False),
        sa.Column("permission_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("scope BETWEEN 1 AND 3", name=op.f("ck_role_permissions_scope_is_own_unit_or_all")),
        sa.ForeignKeyConstraint(
            ["permission_id"], ["permissions.id"], name=op.f("fk_role_permissions_permission_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name=op.f("fk_role_permissions_role_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("role_id", "permission_id", name=op.f("pk_role_permissions")),
    )
    op.create_index(op.f("ix_role_permissions_permission_id"), "role_permissions", ["permission_id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "INVITED",
                "ACTIVE",
                "LEFT",
                "DEACTIVATED",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_service", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("business_unit_id", sa.Uuid(), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(last_name) <> ''", name=op.f("ck_users_last_name_is_not_blank")),
        sa.CheckConstraint(
            "email IS NULL OR (email LIKE '%_@_%' AND email = btrim(email))", name=op.f("ck_users_email_is_an_address")
        ),
        sa.CheckConstraint(
            "is_active = (status IN ('INVITED', 'ACTIVE'))", name=op.f("ck_users_status_agrees_with_is_active")
        ),
        sa.CheckConstraint("password_hash IS NULL OR email IS NOT NULL", name=op.f("ck_users_signs_in_by_email")),
        sa.ForeignKeyConstraint(
            ["business_unit_id"], ["business_units.id"], name=op.f("fk_users_business_unit_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(op.f("ix_users_business_unit_id"), "users", ["business_unit_id"], unique=False)
    op.create_index(
        "ix_users_name",
        "users",
        [sa.literal_column("lower(last_name)"), sa.literal_column("lower(first_name)"), "id"],
        unique=False,
    )
    op.create_index(op.f("ix_users_status"), "users", ["status"], unique=False)
    op.create_index(op.f("ix_users_updated_at"), "users", ["updated_at"], unique=False)
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "absences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column(
            "start_half",
            sa.Enum("MORNING", "AFTERNOON", name="start_half", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column(
            "end_half",
            sa.Enum("MORNING", "AFTERNOON", name="end_half", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("PENDING", "APPROVED", name="status", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "source",
            sa.Enum("MANUAL", "PAYFIT", name="source", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(type) <> ''", name=op.f("ck_absences_type_is_not_blank")),
        sa.CheckConstraint(
            "end_date > start_date OR (end_date = start_date AND NOT (start_half = 'AFTERNOON' AND end_half = 'MORNING'))",
            name=op.f("ck_absences_begins_before_it_ends"),
        ),
        sa.CheckConstraint("end_date < start_date + 1100", name=op.f("ck_absences_is_not_longer_than_three_years")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_absences_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absences")),
    )
    op.create_index("ix_absences_end_date_start_date", "absences", ["end_date", "start_date"], unique=False)
    op.create_index(op.f("ix_absences_status"), "absences", ["status"], unique=False)
    op.create_index("ix_absences_user_id_start_date", "absences", ["user_id", "start_date"], unique=False)
    op.create_index("uq_absences_source_external_id", "absences", ["source", "external_id"], unique=True)
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("btrim(name) <> ''", name=op.f("ck_api_tokens_name_is_not_blank")),
        sa.CheckConstraint("cardinality(scopes) > 0", name=op.f("ck_api_tokens_has_scopes")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_api_tokens_expires_after_creation")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_api_tokens_created_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_index(op.f("ix_api_tokens_created_by_id"), "api_tokens", ["created_by_id"], unique=False)
    op.create_index(op.f("ix_api_tokens_expires_at"), "api_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_api_tokens_user_id"), "api_tokens", ["user_id"], unique=False)
    op.create_table(
        "assignments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("rate", sa.Numeric(precision=5, scale=2), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("end_date < start_date + 3700", name=op.f("ck_assignments_is_not_longer_than_ten_years")),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_assignments_dates_in_order")),
        sa.CheckConstraint("rate > 0 AND rate <= 100", name=op.f("ck_assignments_rate_is_a_percentage")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_assignments_project_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_assignments_user_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index("ix_assignments_end_date_start_date", "assignments", ["end_date", "start_date"], unique=False)
    op.create_index("ix_assignments_project_id_start_date", "assignments", ["project_id", "start_date"], unique=False)
    op.create_index(op.f("ix_assignments_updated_at"), "assignments", ["updated_at"], unique=False)
    op.create_index("ix_assignments_user_id_start_date", "assignments", ["user_id", "start_date"], unique=False)
    op.create_table(
        "capacities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("computed", sa.Numeric(precision=7, scale=2), nullable=False),
        sa.Column("override", sa.Numeric(precision=7, scale=2), nullable=True),
        sa.Column("tentative", sa.Numeric(precision=7, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("working_days", sa.Numeric(precision=7, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("leave", sa.Numeric(precision=7, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "computed BETWEEN 0 AND 31 AND tentative BETWEEN 0 AND 31 AND leave BETWEEN 0 AND 31 AND working_days BETWEEN 0 AND 31",
            name=op.f("ck_capacities_days_fit"),
        ),
        sa.CheckConstraint("extract(day from month) = 1", name=op.f("ck_capacities_month_is_first_day")),
        sa.CheckConstraint("override BETWEEN 0 AND 31", name=op.f("ck_capacities_override_fits")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_capacities_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capacities")),
        sa.UniqueConstraint("user_id", "month", name=op.f("uq_capacities_user_id_month")),
    )
    op.create_index("ix_capacities_month", "capacities", ["month"], unique=False)
    op.create_index(op.f("ix_capacities_updated_at"), "capacities", ["updated_at"], unique=False)
    op.create_table(
        "closed_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_by_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("extract(day from month) = 1", name=op.f("ck_closed_months_month_is_first_day")),
        sa.ForeignKeyConstraint(
            ["closed_by_id"], ["users.id"], name=op.f("fk_closed_months_closed_by_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closed_months")),
    )
    op.create_index(op.f("ix_closed_months_closed_by_id"), "closed_months", ["closed_by_id"], unique=False)
    op.create_table(
        "contracts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("fte", sa.Numeric(precision=5, scale=4), nullable=False),
        sa.Column("weekday_pattern", sa.ARRAY(sa.Numeric(precision=3, scale=2)), nullable=True),
        sa.Column(
            "source",
            sa.Enum("MANUAL", "PAYFIT", name="source", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("user_id"), "="),
            (sa.literal_column("daterange(start_date, end_date, '[]')"), "&&"),
            using="gist",
            name="ex_contracts_one_at_a_time",
        ),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_contracts_dates_in_order")),
        sa.CheckConstraint("fte > 0 AND fte <= 1", name=op.f("ck_contracts_fte_is_a_share")),
        sa.CheckConstraint(
            "weekday_pattern IS NULL OR (array_length(weekday_pattern, 1) = 5 AND array_ndims(weekday_pattern) = 1 AND 0 <= ALL (weekday_pattern) AND 1 >= ALL (weekday_pattern) AND array_position(weekday_pattern, NULL) IS NULL AND fte = (weekday_pattern[1] + weekday_pattern[2] + weekday_pattern[3] + weekday_pattern[4] + weekday_pattern[5]) / 5)",
            name=op.f("ck_contracts_pattern_adds_up_to_fte"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_contracts_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contracts")),
    )
    op.create_index("ix_contracts_user_id_start_date", "contracts", ["user_id", "start_date"], unique=False)
    op.create_index("uq_contracts_source_external_id", "contracts", ["source", "external_id"], unique=True)
    op.create_table(
        "forecasts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("stated", sa.Numeric(precision=7, scale=2), nullable=True),
        sa.Column(
            "source",
            sa.Enum(
                "ASSIGNMENT",
                "MANUAL",
                "API",
                "IMPORT",
                "LEGACY",
                name="source",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("expected", sa.Numeric(precision=7, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("actual", sa.Numeric(precision=7, scale=2), nullable=True),
        sa.Column("late_actual", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_by_id", sa.Uuid(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("source <> 'ASSIGNMENT'", name=op.f("ck_forecasts_assignments_state_nothing")),
        sa.CheckConstraint("(stated IS NULL) = (source IS NULL)", name=op.f("ck_forecasts_stated_has_a_source")),
        sa.CheckConstraint("actual >= 0", name=op.f("ck_forecasts_actual_is_not_negative")),
        sa.CheckConstraint("expected >= 0", name=op.f("ck_forecasts_expected_is_not_negative")),
        sa.CheckConstraint("extract(day from month) = 1", name=op.f("ck_forecasts_month_is_first_day")),
        sa.CheckConstraint("stated BETWEEN 0 AND 31", name=op.f("ck_forecasts_stated_fits")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_forecasts_project_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["updated_by_id"], ["users.id"], name=op.f("fk_forecasts_updated_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_forecasts_user_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecasts")),
        sa.UniqueConstraint("user_id", "month", "project_id", name=op.f("uq_forecasts_user_id_month_project_id")),
    )
    op.create_index("ix_forecasts_month", "forecasts", ["month"], unique=False)
    op.create_index("ix_forecasts_project_id_month", "forecasts", ["project_id", "month"], unique=False)
    op.create_index(op.f("ix_forecasts_updated_at"), "forecasts", ["updated_at"], unique=False)
    op.create_index(op.f("ix_forecasts_updated_by_id"), "forecasts", ["updated_by_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("mutation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("key <> '' AND length(key) <= 255", name=op.f("ck_idempotency_keys_key_is_short")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_index("uq_idempotency_keys_caller", "idempotency_keys", ["user_id", "mutation", "key"], unique=True)
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_invitations_created_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_invitations_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index(op.f("ix_invitations_created_by_id"), "invitations", ["created_by_id"], unique=False)
    op.create_index(op.f("ix_invitations_user_id"), "invitations", ["user_id"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", postgresql.INET(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_refresh_tokens_expires_after_creation")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_tokens_token_hash")),
    )
    op.create_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_family_id"), "refresh_tokens", ["family_id"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_user_id"), "refresh_tokens", ["user_id"], unique=False)
    op.create_table(
        "stale_users",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stale_users_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_stale_users")),
    )
    op.create_table(
        "time_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("seconds > 0 AND seconds <= 86400", name=op.f("ck_time_entries_fits_in_a_day")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_time_entries_project_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_time_entries_user_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_time_entries")),
    )
    op.create_index("ix_time_entries_project_id_day", "time_entries", ["project_id", "day"], unique=False)
    op.create_index("ix_time_entries_user_id_day", "time_entries", ["user_id", "day"], unique=False)
    op.create_index("uq_time_entries_provider_external_id", "time_entries", ["provider", "external_id"], unique=True)
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role_id", sa.Uuid(), nullable=False),
        sa.Column("granted_by_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["granted_by_id"], ["users.id"], name=op.f("fk_user_roles_granted_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_user_roles_role_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("pk_user_roles")),
    )
    op.create_index(op.f("ix_user_roles_granted_by_id"), "user_roles", ["granted_by_id"], unique=False)
    op.create_index(op.f("ix_user_roles_role_id"), "user_roles", ["role_id"], unique=False)
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("token_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("address", postgresql.INET(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_audit_logs_actor_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["token_id"], ["api_tokens.id"], name=op.f("fk_audit_logs_token_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
    )
    op.create_index(op.f("ix_audit_logs_action"), "audit_logs", ["action"], unique=False)
    op.create_index(op.f("ix_audit_logs_actor_id"), "audit_logs", ["actor_id"], unique=False)
    op.create_index(op.f("ix_audit_logs_at"), "audit_logs", ["at"], unique=False)
    op.create_index(
        "ix_audit_logs_cells",
        "audit_logs",
        [sa.literal_column("(metadata -> 'cells')")],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index("ix_audit_logs_resource", "audit_logs", ["resource_type", "resource_id", "id"], unique=False)
    op.create_index(op.f("ix_audit_logs_token_id"), "audit_logs", ["token_id"], unique=False)
    op.execute(APPEND_ONLY)
    op.execute(
        "CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_audit_logs_token_id"), table_name="audit_logs")
    op.drop_index("ix_audit_logs_resource", table_name="audit_logs")
    op.drop_index("ix_audit_logs_cells", table_name="audit_logs", postgresql_using="gin")
    op.drop_index(op.f("ix_audit_logs_at"), table_name="audit_logs")
    op.drop_index(op.f("ix_audit_logs_actor_id"), table_name="audit_logs")
    op.drop_index(op.f("ix_audit_logs_action"), table_name="audit_logs")
    op.drop_table("audit_logs")
    op.drop_index(op.f("ix_user_roles_role_id"), table_name="user_roles")
    op.drop_index(op.f("ix_user_roles_granted_by_id"), table_name="user_roles")
    op.drop_table("user_roles")
    op.drop_index("uq_time_entries_provider_external_id", table_name="time_entries")
    op.drop_index("ix_time_entries_user_id_day", table_name="time_entries")
    op.drop_index("ix_time_entries_project_id_day", table_name="time_entries")
    op.drop_table("time_entries")
    op.drop_table("stale_users")
    op.drop_index(op.f("ix_refresh_tokens_user_id"), table_name="refresh_tokens")
    op.drop_index(op.f("ix_refresh_tokens_family_id"), table_name="refresh_tokens")
    op.drop_index(op.f("ix_refresh_tokens_expires_at"), table_name="refresh_tokens")
    op.drop_table("refresh_tokens")
    op.drop_index(op.f("ix_invitations_user_id"), table_name="invitations")
    op.drop_index(op.f("ix_invitations_created_by_id"), table_name="invitations")
    op.drop_table("invitations")
    op.drop_index("uq_idempotency_keys_caller", table_name="idempotency_keys")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_forecasts_updated_by_id"), table_name="forecasts")
    op.drop_index(op.f("ix_forecasts_updated_at"), table_name="forecasts")
    op.drop_index("ix_forecasts_project_id_month", table_name="forecasts")
    op.drop_index("ix_forecasts_month", table_name="forecasts")
    op.drop_table("forecasts")
    op.drop_index("uq_contracts_source_external_id", table_name="contracts")
    op.drop_index("ix_contracts_user_id_start_date", table_name="contracts")
    op.drop_table("contracts")
    op.drop_index(op.f("ix_closed_months_closed_by_id"), table_name="closed_months")
    op.drop_table("closed_months")
    op.drop_index(op.f("ix_capacities_updated_at"), table_name="capacities")
    op.drop_index("ix_capacities_month", table_name="capacities")
    op.drop_table("capacities")
    op.drop_index("ix_assignments_user_id_start_date", table_name="assignments")
    op.drop_index(op.f("ix_assignments_updated_at"), table_name="assignments")
    op.drop_index("ix_assignments_project_id_start_date", table_name="assignments")
    op.drop_index("ix_assignments_end_date_start_date", table_name="assignments")
    op.drop_table("assignments")
    op.drop_index(op.f("ix_api_tokens_user_id"), table_name="api_tokens")
    op.drop_index(op.f("ix_api_tokens_expires_at"), table_name="api_tokens")
    op.drop_index(op.f("ix_api_tokens_created_by_id"), table_name="api_tokens")
    op.drop_table("api_tokens")
    op.drop_index("uq_absences_source_external_id", table_name="absences")
    op.drop_index("ix_absences_user_id_start_date", table_name="absences")
    op.drop_index(op.f("ix_absences_status"), table_name="absences")
    op.drop_index("ix_absences_end_date_start_date", table_name="absences")
    op.drop_table("absences")
    op.drop_index("uq_users_email", table_name="users")
    op.drop_index(op.f("ix_users_updated_at"), table_name="users")
    op.drop_index(op.f("ix_users_status"), table_name="users")
    op.drop_index("ix_users_name", table_name="users")
    op.drop_index(op.f("ix_users_business_unit_id"), table_name="users")
    op.drop_table("users")
    op.drop_index(op.f("ix_role_permissions_permission_id"), table_name="role_permissions")
    op.drop_table("role_permissions")
    op.drop_index("uq_projects_code", table_name="projects", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index(op.f("ix_projects_updated_at"), table_name="projects")
    op.drop_index(op.f("ix_projects_status"), table_name="projects")
    op.drop_index(op.f("ix_projects_business_unit_id"), table_name="projects")
    op.drop_table("projects")
    op.drop_index(op.f("ix_sign_in_failures_last_failure_at"), table_name="sign_in_failures")
    op.drop_table("sign_in_failures")
    op.drop_index("uq_roles_name", table_name="roles")
    op.drop_table("roles")
    op.drop_table("permissions")
    op.drop_table("company_settings")
    op.drop_table("calendar_days")
    op.drop_index("uq_business_units_code", table_name="business_units")
    op.drop_table("business_units")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP EXTENSION IF EXISTS btree_gist")
