"""How a level reports what is wrong: one exception, caught by the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from troth.conformance.codes import BY_CODE

if TYPE_CHECKING:
    from troth.conformance.world import Edge, Session


class Divergence(Exception):
    """The current record does not follow from the rest of the file.

    `session`, `edge` and `role` say where; the pipeline adds the offset, the record number and
    the context.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        expected: str | None = None,
        actual: str | None = None,
        expected_side: str = "recomputed",
        actual_side: str = "recorded",
        session: Session | None = None,
        edge: Edge | None = None,
        role: str | None = None,
        position: str | None = None,
    ) -> None:
        super().__init__(message)
        assert code in BY_CODE, code
        self.code = code
        self.message = message
        self.expected = expected
        self.actual = actual
        self.expected_side = expected_side
        self.actual_side = actual_side
        self.session = session if session is not None else (edge.session if edge else None)
        self.edge = edge
        self.role = role
        self.position = position
