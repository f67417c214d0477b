"""Measurements, not tests: ``make bench`` prints them as tables."""
