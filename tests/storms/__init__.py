"""Kills, races, forks, faults and floods."""
