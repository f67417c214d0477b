"""Everything about lip-sync that would be true without a workflow engine."""
