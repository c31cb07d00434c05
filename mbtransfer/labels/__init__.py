"""Labels of rewards and successes: files of them, tasks known by them, and which transitions to label."""
