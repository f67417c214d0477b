"""What people get to see of a run: its summary, its plots, its review page."""
