"""Lists in their usual order are read by an index: cells by month, person and project, assignments by start."""

from __future__ import annotations

from alembic import op

revision = "0004_lists_are_read_by_an_ind"
down_revision = "0003_plan_marks"
branch_labels = None
depends_on = None


# Writers of these tables wait while an index is built: 4 s with two million cells.
def upgrade() -> None:
    op.create_index("ix_assignments_start_date_id", "assignments", ["start_date", "id"])
    op.drop_index("ix_forecasts_month", table_name="forecasts")
    op.create_index("ix_forecasts_month_user_id_project_id", "forecasts", ["month", "user_id", "project_id"])


def downgrade() -> None:
    op.drop_index("ix_forecasts_month_user_id_project_id", table_name="forecasts")
    op.create_index("ix_forecasts_month", "forecasts", ["month"])
    op.drop_index("ix_assignments_start_date_id", table_name="assignments")
