"""The doctor: facts in, findings out. Pure; who gathers the facts is the daemon's and the command line's business.

`facts` says what can be known, `judging` what is made of it, `card` how long a memory card lives.
"""

from growy.doctor.facts import (
    BrokerFacts,
    CertificateFacts,
    ControlFacts,
    FileFacts,
    FileKind,
    FleetFacts,
    FolderFault,
    Integrity,
    MachineFacts,
    PartsFacts,
    RuleTrouble,
    SensorsFacts,
    Skew,
    Stale,
    WebFacts,
    Written,
)
from growy.doctor.findings import Facts, Finding, Level, examine, worst

__all__ = [
    "BrokerFacts",
    "CertificateFacts",
    "ControlFacts",
    "Facts",
    "FileFacts",
    "FileKind",
    "Finding",
    "FleetFacts",
    "FolderFault",
    "Integrity",
    "Level",
    "MachineFacts",
    "PartsFacts",
    "RuleTrouble",
    "SensorsFacts",
    "Skew",
    "Stale",
    "WebFacts",
    "Written",
    "examine",
    "worst",
]
