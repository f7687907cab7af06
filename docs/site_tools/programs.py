"""A Python file that a page links to is a page: its source."""

from typing import Any

from docutils import nodes
from sphinx.parsers import Parser


class ProgramParser(Parser):
    """Shows a file as it is, under its path."""

    supported = ("python",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Fill the document: a title, and the source."""
        self.setup_parse(inputstring, document)
        env = document.settings.env
        docname = env.current_document.docname
        env.metadata[docname]["orphan"] = True  # it is found by links only
        path = env.doc2path(docname, base=False).as_posix()
        title = nodes.title("", "", nodes.literal(path, path))
        source = nodes.literal_block(inputstring, inputstring, language="python")
        section = nodes.section("", title, source, ids=["source"], names=["source"])
        document += section
        document.note_implicit_target(section)
        self.finish_parse()


def setup(app: Any) -> dict[str, bool]:
    """Read Python files by this parser."""
    app.add_source_suffix(".py", "python")
    app.add_source_parser(ProgramParser)
    return {"parallel_read_safe": True}
