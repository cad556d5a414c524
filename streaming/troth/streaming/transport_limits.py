"""The named limits of the session transport: sizes, times and counts, each with its unit.

A peer, a relay and whoever else can send us a datagram are not trusted with our memory or our
time. What is kept for them is kept up to one of these limits, and a test stands at each.
"""

from __future__ import annotations

from typing import Final

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000

DATAGRAM_BYTES_MAX: Final = 1_200
"""What a path carries without fragmentation unless it says otherwise; relays wrap below 1,280."""

HALF_OPEN_MAX: Final = 256
"""Handshakes that have begun and not ended, at one listener."""

HALF_OPEN_FREE: Final = 16
"""Up to here a handshake begins without a cookie."""

COOKIES_MAX: Final = 8
"""Cookies that one handshake takes before it believes that somebody makes them up."""

COOKIE_BUCKET_NS: Final = 30 * SECOND_NS
HANDSHAKE_RETRY_NS: Final = 250 * MILLISECOND_NS
HANDSHAKE_RETRY_MAX_NS: Final = 2 * SECOND_NS
HANDSHAKE_NS: Final = 10 * SECOND_NS

LINKS_MAX: Final = 1_024
"""Established links of one listener."""

REPLAY_WINDOW_PACKETS: Final = 8_192
"""At 20,000 packets a second this is 400 ms: more than a retransmission's way there and back."""

REKEY_PACKETS: Final = 1 << 20
REKEY_NS: Final = 600 * SECOND_NS
OLD_EPOCH_NS: Final = 3 * SECOND_NS
"""How long packets of the epoch before are still taken."""

CONTROL_MESSAGE_BYTES_MAX: Final = 16 << 20
CONTROL_BUFFER_BYTES_MAX: Final = 32 << 20
"""Bytes that one stream holds for a peer that does not acknowledge."""

CONTROL_WINDOW_SEGMENTS: Final = 256
"""Segments in flight at most, and the most that a receiver holds out of order."""

CONTROL_WINDOW_FIRST: Final = 16
CONTROL_WINDOW_LEAST: Final = 4
CONTROL_QUEUE_NS: Final = 10 * MILLISECOND_NS
"""The queue that a stream may fill. Less than frames may: a long message gives way to them."""

RTO_FIRST_NS: Final = 250 * MILLISECOND_NS
RTO_MIN_NS: Final = 50 * MILLISECOND_NS
RTO_MAX_NS: Final = SECOND_NS
CONTROL_TRIES_SUSPECT: Final = 8
"""Retransmissions of one segment after which the path is suspect."""

FRAME_BYTES_MAX: Final = 4 << 20
FRAMES_OPEN_MAX: Final = 64
"""Frames of one lane that are being put together at once."""

FRAMES_OPEN_BYTES_MAX: Final = 16 << 20
GROUP_DATA_MAX: Final = 64
GROUP_PARITY_MAX: Final = 32
INPUT_BYTES_MAX: Final = 1_024

PLAYOUT_NS: Final = 150 * MILLISECOND_NS
"""A frame that is not whole this long after its first fragment came is given up."""

PLAYOUT_DELAY_MAX_NS: Final = 20 * MILLISECOND_NS
"""So long a whole frame waits at most, where that hides the repairs of those behind it."""

KEY_FRAME_REQUEST_NS: Final = 250 * MILLISECOND_NS
NACK_WAIT_NS: Final = 2 * MILLISECOND_NS
NACK_REORDER_PACKETS: Final = 3
NACK_PACKETS_MAX: Final = 256
TAIL_NS: Final = 5 * MILLISECOND_NS
"""The end of a frame that has not come so long after the rest, and jitter, is asked for."""

HOLES_MAX: Final = 4_096
SENT_HISTORY_PACKETS: Final = 16_384

FEEDBACK_NS: Final = 50 * MILLISECOND_NS
FEEDBACK_PACKETS_MAX: Final = 500
EPOCH_NS: Final = 250 * MILLISECOND_NS

KEEPALIVE_NS: Final = 250 * MILLISECOND_NS
DEGRADED_NS: Final = 750 * MILLISECOND_NS
LOST_NS: Final = 5 * SECOND_NS
ENDED_NS: Final = 15 * SECOND_NS
CLOSE_TRIES: Final = 5
CLOSE_RETRY_NS: Final = 100 * MILLISECOND_NS
PROBES_MAX: Final = 16
OUTPUT_QUEUE_PACKETS_MAX: Final = 8_192
"""Packets that wait for the pacer; a frame that does not fit is refused whole."""
