"""Running dialogues and conformance suites: `vxml-server test` and `vxml-server conformance`.

A *case* is one dialogue of a `*.test.yaml` file, an *assertion* one entry of a conformance suite:
a folder of our own format, one of a W3C implementation report, or a grammar that tests itself.
Both end as a `Result`, which the console, a JUnit file and an HTML report show. Time is virtual,
and many are run in several processes; results always come in the order of what was run.
"""

from vxml_server.testing.assertions import discover
from vxml_server.testing.conformance import run_assertions
from vxml_server.testing.console import exit_status, show, suite_name
from vxml_server.testing.dialogues import find_cases, run_cases
from vxml_server.testing.junit import write_junit
from vxml_server.testing.report import Heading, write_report
from vxml_server.testing.results import Result, Verdict

__all__ = [
    "Heading",
    "Result",
    "Verdict",
    "discover",
    "exit_status",
    "find_cases",
    "run_assertions",
    "run_cases",
    "show",
    "suite_name",
    "write_junit",
    "write_report",
]
