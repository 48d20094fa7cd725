from a2sb_hum.hum import Hum

from a2sb_core.testing import Case, contract

test_contract = contract(
    "corruption", [Case(Hum.Config(), ranges={"mains_hz": (50, 60)}), Hum.Config(width_hz=5.0)]
)
