"""Bill: time, energy and carbon of a run, from the measured processor time of its processes.

energy = PUE x (processor + memory + cards) x time with PUE 1.58; 0.954 lb CO2e per kWh (US average of 2018), unless
``ARCHIP_KG_CO2_PER_KWH`` says what the electricity of this place and year is. The power of a busy core is our
assumption: 8 W, a server package of 150-200 W shared by 20-24 cores. Memory takes 0.3725 W/GB, for the largest memory
seen over the whole time. Cards (GPUs) and workers on other machines are not measured, so a bill of such runs is too
low and says so.

Sources: Strubell et al. 2019, ACL (arXiv:1906.02243), section 2 and table 3; memory: Lannelongue et al. 2021,
arXiv:2007.07610.
"""

from __future__ import annotations

import math
import os
from typing import Any

from archip.core.errors import UserError

__all__ = ["bill", "carbon_kg", "energy_kwh", "kg_per_kwh"]

PUE = 1.58
KG_PER_LB = 0.45359237
LB_PER_KWH = 0.954
CORE_W = 8.0
RAM_W_PER_GB = 0.3725
_VARIABLE = "ARCHIP_KG_CO2_PER_KWH"


def energy_kwh(
    hours: float, cpu_w: float, ram_w: float = 0.0, gpu_w: float = 0.0, n_gpus: int = 0, pue: float = PUE
) -> float:
    """Energy at the meter of something that draws these powers on average (section 2 of Strubell et al.)."""
    return pue * hours * (cpu_w + ram_w + n_gpus * gpu_w) / 1000


def carbon_kg(kwh: float, kg_of_one: float = LB_PER_KWH * KG_PER_LB) -> float:
    """CO2 equivalents of energy at the meter."""
    return kwh * kg_of_one


def kg_per_kwh() -> float:
    """Carbon of a kWh here.

    Raises:
        UserError: the variable that says so holds no positive number.
    """
    given = os.environ.get(_VARIABLE)
    if given is None:
        return LB_PER_KWH * KG_PER_LB
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(f"{given!r} is no carbon intensity", _VARIABLE, "kg CO2e of a kWh, e.g. 0.25")
    return value


def bill(total_s: float, cpu_s: float, peak_bytes: int = 0, is_whole: bool = True) -> dict[str, Any]:
    """Seconds, kWh and kg of CO2 equivalents.

    Args:
        cpu_s: seconds of busy cores, of all processes and sessions.
        is_whole: whether all processors at work are in it.
    """
    ram_w = RAM_W_PER_GB * peak_bytes / 1e9
    kwh = energy_kwh(cpu_s / 3600, CORE_W) + energy_kwh(total_s / 3600, 0.0, ram_w)
    return {
        "seconds": total_s,
        "cpu_seconds": cpu_s,
        "energy_kwh": kwh,
        "carbon_kg": carbon_kg(kwh, kg_per_kwh()),
        "kg_per_kwh": kg_per_kwh(),
        "is_whole": is_whole,
    }
