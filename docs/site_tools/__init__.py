"""What the site needs beside Sphinx: docs/conf.py names these modules as extensions."""
