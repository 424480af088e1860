"""The batching path of readings: decode -> convert -> fan out -> commit -> acknowledge.

Every inbound message ends in exactly one counted outcome, and is acknowledged only when nothing of it can be lost
any more. The intake never sees a socket and never runs SQL; it never looks at what a device *should* do (that is control's).
"""

from growy.intake.outcomes import IntakeStatistics
from growy.intake.pipeline import Intake

__all__ = ["Intake", "IntakeStatistics"]
