"""Evaluation of restorers on damaged clips: protocols, systems, metrics, statistics and reports."""
