"""Who sets the document? A process of its own: one request on standard input, one PDF on standard output.

Data enters as JSON values in `sys.inputs`, never as source; fonts are those that typst carries, nothing is fetched and
no file but the template beside this module is read. Run as `python -m service.report.compliance.typeset`.
"""

import json
import re
import resource
import sys
from pathlib import Path

from service.report.compliance.glyphs import MARK

TEMPLATE = Path(__file__).with_name("report.typ")
ADDRESS_SPACE = 4 * 2**30
NO_GLYPH = "could not be displayed"
PLAIN = re.compile("[^\t\n\r\x20-\x7e\u2013\u2026\u202f\u200b\u2212\u2264\u2265\u03b5" + MARK + "]")


def main() -> int:
    """Read a request, write a document; say on standard error why not."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (ADDRESS_SPACE, ADDRESS_SPACE))
    import typst

    request = json.load(sys.stdin)

    def compiled(data: str) -> bytes:
        return typst.compile(
            TEMPLATE,
            root=TEMPLATE.parent,
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=["a-3a", "ua-1"],
            timestamp=request["at"],
            sys_inputs={"data": data, "attached": json.dumps(request["attached"]), "at": str(request["at"])},
        )

    try:
        made = compiled(request["data"])
    except typst.TypstError as error:
        if NO_GLYPH not in str(error):
            sys.stderr.write(f"typst: {str(error).splitlines()[0]}\n")
            return 1
        # A sequence the table of glyphs did not foresee: a plainer text is better than no document.
        made = compiled(PLAIN.sub(MARK, request["data"]))
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
