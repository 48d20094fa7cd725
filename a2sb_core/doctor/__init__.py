"""Checks of the installation and the machine for `a2sb doctor`."""
