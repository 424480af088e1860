"""Whether what a person wants to set up on a device can work there. Refuses with the reason and the cure, before
anything reaches the device; repairs what is only a client's old habit; warns of what will work, but not as expected.

Pure judgement over what is set up already. Sensors and actuators that are switched off keep their pins.
"""

from growy.fleet.admission.actuators import admit_actuator
from growy.fleet.admission.admitted import Admitted
from growy.fleet.admission.places import admit_subzone, admit_zone
from growy.fleet.admission.rules import admit_rules
from growy.fleet.admission.sensors import admit_sensor

__all__ = ["Admitted", "admit_actuator", "admit_rules", "admit_sensor", "admit_subzone", "admit_zone"]
