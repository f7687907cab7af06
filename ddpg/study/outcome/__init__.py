"""What the runs of a study come to: numbers with intervals, tables, a picture, a page."""
