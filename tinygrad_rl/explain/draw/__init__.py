"""An explanation drawn: `graph.py` groups calls, `layout.py` places boxes, `picture.py` draws."""
