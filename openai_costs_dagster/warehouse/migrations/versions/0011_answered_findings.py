"""Answers keep the id of the finding that they were given to, so that they can be withdrawn when it is gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"

# Answers to findings that are gone already get ids that no finding will have.
_FILL = """
update openai_costs.anomaly_feedback as answer
set anomaly_id = coalesce(
    (
        select finding.anomaly_id
        from openai_costs.anomaly_findings as finding
        where
            finding.organization = answer.organization
            and finding.usage_date = answer.first_day
            and finding.level = answer.level
            and finding.project_id is not distinct from answer.project_id
            and finding.service is not distinct from answer.service
            and finding.model is not distinct from answer.model
            and finding.api_key_id is not distinct from answer.api_key_id
            and finding.user_id is not distinct from answer.user_id
            and finding.line_item is not distinct from answer.line_item
    ),
    nextval(pg_get_serial_sequence('openai_costs.anomaly_findings', 'anomaly_id'))
)
"""


def upgrade() -> None:
    """Apply."""
    comment = "of the finding that was answered, which may be gone"
    op.add_column("anomaly_feedback", sa.Column("anomaly_id", sa.BigInteger(), comment=comment), schema="openai_costs")
    op.execute(_FILL)
    op.alter_column("anomaly_feedback", "anomaly_id", nullable=False, schema="openai_costs")
    op.alter_column(
        "anomaly_findings",
        "worth_alerting",
        comment="unusual and large enough; the view applies mutes",
        schema="openai_costs",
    )


def downgrade() -> None:
    """Take back."""
    op.alter_column(
        "anomaly_findings", "worth_alerting", comment="unusual and large enough, and not muted", schema="openai_costs"
    )
    op.drop_column("anomaly_feedback", "anomaly_id", schema="openai_costs")
