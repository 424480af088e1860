"""The batching path of readings: decode -> convert -> fan out -> commit -> acknowledge.

Every inbound message ends in exactly one counted outcome, and is acknowledged only when nothing of it can be lost
any more. The intake never sees a socket and never runs SQL; what a device *should* do is none of its business.
"""

from growy.intake.outcomes import IntakeStatistics
from growy.intake.pipeline import Intake

__all__ = ["Intake", "IntakeStatistics"]
