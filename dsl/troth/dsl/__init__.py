"""The Troth language: from the text of a script to a checked program image.

`check_source` and `compile_source` work on text, `load` on a file.
"""

from __future__ import annotations

from troth.dsl.compile import LocalView as LocalView
from troth.dsl.compile import Module as Module
from troth.dsl.compile import ProtocolView as ProtocolView
from troth.dsl.compile import ScriptErrors as ScriptErrors
from troth.dsl.compile import check_source as check_source
from troth.dsl.compile import compile_module as compile_module
from troth.dsl.compile import compile_source as compile_source
from troth.dsl.diag import Diagnostic as Diagnostic
from troth.dsl.diag import Diagnostics as Diagnostics
from troth.dsl.diag import Severity as Severity
from troth.dsl.shell_load import load as load

__all__ = [
    "Diagnostic",
    "Diagnostics",
    "LocalView",
    "Module",
    "ProtocolView",
    "ScriptErrors",
    "Severity",
    "check_source",
    "compile_module",
    "compile_source",
    "load",
]
