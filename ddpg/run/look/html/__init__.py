"""What pages that stand alone are made of: a style, tables, prose, pictures; no script."""
