"""Core of the restoration framework: interfaces, plugins, configuration and the engine."""
