"""Times and sizes of a session, with their names."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
CODECS: Final = ("synthetic",)

EPOCH_US: Final = 250_000
PLAYOUT_DEADLINE_US: Final = 200_000
"""How long a frame that was announced may take to come."""
DEGRADED_US: Final = 750_000
CONNECTION_LOST_US: Final = 5_000_000
KEY_FRAME_EVERY_US: Final = 250_000
"""A key frame is asked for at most so often."""
PATIENCE_SECONDS: Final = 1.0
"""After the link has given the other side up, which takes five seconds of silence."""
BACKLOG_US_MAX: Final = 40_000
"""While more than this waits to be sent, no frame is captured."""
QUEUE_US_MAX: Final = 150_000
"""While a longer queue stands on the way, nothing is captured: it would come too late to be shown,
and the queue would go on to stand."""
CAPTURED_US_MAX: Final = 500_000
"""But this long after the last frame one is captured all the same, whatever is known of the way."""
WORDS_BACKLOG_US_MAX: Final = 40_000
"""While the session's own messages wait longer, nothing is said that a newer one replaces."""
LEAVE_SECONDS: Final = 1.5
"""So long the programs may take to end a session in good order; then the link says the reason."""

CONTENTS_KEPT: Final = 256
DEMANDS_MAX: Final = 64

BITRATE_KBPS_DEFAULT: Final = 4_000
BITRATE_KBPS_MAX: Final = 100_000
SCALE_PERCENT_MIN_DEFAULT: Final = 50
WIDTH_DEFAULT: Final = 320
HEIGHT_DEFAULT: Final = 180
FRAME_RATE_DEFAULT: Final = 60
FRAME_RATE_MAX: Final = 240
