"""Files with labels, whatever is in them: folders, tables, class map, split, duplicates."""
