"""Bill: time, energy and carbon of a run, from measured processor time.

Source: Strubell et al. 2019, ACL (arXiv:1906.02243): energy = PUE x power x time with PUE 1.58, and
0.954 lb CO2e per kWh (US average of 2018), i.e. 0.433 kg/kWh. The power of a busy core is our assumption:
8 W, a server package of 150-200 W shared by 20-24 cores.
"""

from __future__ import annotations

__all__ = ["bill"]

PUE = 1.58
KG_PER_KWH = 0.433
CORE_W = 8.0


def bill(total_s: float, cpu_s: float) -> dict[str, float]:
    """Seconds, kWh and kg of CO2 equivalents for `cpu_s` seconds of busy cores."""
    kwh = PUE * CORE_W * cpu_s / 3.6e6
    return {"seconds": total_s, "cpu_seconds": cpu_s, "energy_kwh": kwh, "carbon_kg": kwh * KG_PER_KWH}
