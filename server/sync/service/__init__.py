"""Starting, reading, applying and explaining syncs."""
