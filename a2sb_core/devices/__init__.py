"""Choice of the device and the precision, and the memory of the device."""
