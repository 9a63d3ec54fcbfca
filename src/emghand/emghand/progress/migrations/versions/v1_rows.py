"""Sessions, trials, dates and subjects, and what was shared."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "sessions",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("session_id", sa.Text(), primary_key=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("protocols", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("duration", sa.Double(), nullable=False),
        sa.Column("start_delay", sa.Double()),
        sa.Column("n_trials", sa.BigInteger(), nullable=False),
        sa.Column("n_single", sa.BigInteger(), nullable=False),
        sa.Column("completed_single", sa.BigInteger(), nullable=False),
        sa.Column("n_pair", sa.BigInteger(), nullable=False),
        sa.Column("completed_pair", sa.BigInteger(), nullable=False),
        sa.Column("n_multi", sa.BigInteger(), nullable=False),
        sa.Column("completed_multi", sa.BigInteger(), nullable=False),
        sa.Column("nrmse", sa.Double()),
        sa.Column("unintended", sa.Double()),
        sa.Column("time_to_target", sa.Double()),
        sa.Column("path_efficiency", sa.Double()),
        sa.Column("overshoots", sa.Double()),
        sa.Column("hold", sa.Double()),
        sa.Column("throughput", sa.Double()),
        sa.Column("rest_offset", sa.Text(), nullable=False),
        sa.Column("resolvable", sa.Text(), nullable=False),
        sa.Column("latency_p99_ms", sa.Double()),
        sa.Column("latency_ok", sa.Boolean()),
        sa.Column("faults", sa.BigInteger(), nullable=False),
        sa.Column("faults_ok", sa.Boolean()),
        sa.Column("pauses", sa.Text(), nullable=False),
        sa.Column("recalibrations", sa.BigInteger(), nullable=False),
        sa.Column("n_after_pause", sa.BigInteger(), nullable=False),
        sa.Column("completed_after_pause", sa.BigInteger(), nullable=False),
        sa.Column("problems", sa.Text(), nullable=False),
        sa.Column("row_hash", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("here", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("session_id", sa.Text(), primary_key=True),
        sa.Column("protocol", sa.Text(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target_class", sa.Text(), nullable=False),
        sa.Column("dofs", sa.Text(), nullable=False),
        sa.Column("radius", sa.Double(), nullable=False),
        sa.Column("dwell", sa.Double(), nullable=False),
        sa.Column("difficulty", sa.Double()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("time_to_target", sa.Double()),
        sa.Column("reaction_time", sa.Double()),
        sa.Column("path_efficiency", sa.Double()),
        sa.Column("overshoots", sa.BigInteger(), nullable=False),
        sa.Column("longest_hold", sa.Double(), nullable=False),
        sa.Column("hold_violations", sa.BigInteger(), nullable=False),
        sa.Column("throughput", sa.Double()),
        sa.Column("unintended", sa.Double()),
        sa.Column("validation", sa.Boolean(), nullable=False),
        sa.Column("perturbed", sa.Boolean(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("after_pause", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject", "session_id"],
            ["sessions.subject", "sessions.session_id"],
            name="trials_session",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "dates",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("date", sa.Date(), primary_key=True),
        sa.Column("status", sa.Text()),
        sa.Column("raw_status", sa.Text()),
        sa.Column("advice", sa.Text()),
        sa.Column("criteria", sa.Text()),
        sa.Column("missing", sa.Text()),
        sa.Column("window", sa.Text()),
        sa.Column("combined", sa.Text(), nullable=False),
    )
    op.create_table(
        "subjects",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("date_columns", sa.Text(), nullable=False),
    )
    op.create_table(
        "shared",
        sa.Column("place", sa.Text(), primary_key=True),
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("session_id", sa.Text(), primary_key=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("row_hash", sa.Text(), nullable=False),
    )
    op.execute(
        "CREATE VIEW level_dates AS SELECT subject, status AS level, MIN(date) AS first_date "
        "FROM dates GROUP BY subject, status"
    )
