"""Contract kit: laws that components of each kind must obey, as tests.

In the tests of a plugin, one line makes one pytest item of each case and law:

    from a2sb_core.testing import contract

    test_contract = contract("corruption", [Clipping.Config(), Clipping.Config(drive_db=(0, 20))])

``a2sb plugins check DISTRIBUTION`` checks the same laws on what is installed. A component that
cannot be checked by its default configuration alone has a static method ``contract_cases`` that
returns a list of :class:`Case`.
"""

from a2sb_core.testing.laws import BrokenLawError, Case, Law, contract, laws

__all__ = ["BrokenLawError", "Case", "Law", "contract", "laws"]
