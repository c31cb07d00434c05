"""Labels of reward and success: files of them, tasks made of them, which transitions to label, labels from examples."""
