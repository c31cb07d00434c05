"""The transfer lab: what can be carried from old tasks to a new one."""
