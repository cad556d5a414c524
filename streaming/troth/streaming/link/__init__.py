"""An encrypted link over datagrams: control, input, frames, repair and rate, without a socket."""

from __future__ import annotations

from troth.streaming.handshake.identity import Identity as Identity
from troth.streaming.link.congestion import Controller as Controller
from troth.streaming.link.congestion import Decision as Decision
from troth.streaming.link.congestion import DelayController as DelayController
from troth.streaming.link.congestion import DelayOptions as DelayOptions
from troth.streaming.link.congestion import Feedback as Feedback
from troth.streaming.link.congestion import replay as replay
from troth.streaming.link.frames_in import VIDEO as VIDEO
from troth.streaming.link.listener import Listener as Listener
from troth.streaming.link.media import AUDIO as AUDIO
from troth.streaming.link.options import LinkOptions as LinkOptions
from troth.streaming.link.outputs import Adapted as Adapted
from troth.streaming.link.outputs import Address as Address
from troth.streaming.link.outputs import Closed as Closed
from troth.streaming.link.outputs import CloseReason as CloseReason
from troth.streaming.link.outputs import ControlMessage as ControlMessage
from troth.streaming.link.outputs import Datagram as Datagram
from troth.streaming.link.outputs import EpochReport as EpochReport
from troth.streaming.link.outputs import Established as Established
from troth.streaming.link.outputs import Event as Event
from troth.streaming.link.outputs import Frame as Frame
from troth.streaming.link.outputs import Freeze as Freeze
from troth.streaming.link.outputs import InputEdge as InputEdge
from troth.streaming.link.outputs import InputState as InputState
from troth.streaming.link.outputs import KeyFrameWanted as KeyFrameWanted
from troth.streaming.link.outputs import PathProbed as PathProbed
from troth.streaming.link.outputs import PathState as PathState
from troth.streaming.link.outputs import PathSuspect as PathSuspect
from troth.streaming.link.outputs import PeerMoved as PeerMoved
from troth.streaming.link.outputs import Refused as Refused
from troth.streaming.link.report import Report as Report
from troth.streaming.link.secure_link import SecureLink as SecureLink

__all__ = [
    "AUDIO",
    "VIDEO",
    "Adapted",
    "Address",
    "CloseReason",
    "Closed",
    "ControlMessage",
    "Controller",
    "Datagram",
    "Decision",
    "DelayController",
    "DelayOptions",
    "EpochReport",
    "Established",
    "Event",
    "Feedback",
    "Frame",
    "Freeze",
    "Identity",
    "InputEdge",
    "InputState",
    "KeyFrameWanted",
    "LinkOptions",
    "Listener",
    "PathProbed",
    "PathState",
    "PathSuspect",
    "PeerMoved",
    "Refused",
    "Report",
    "SecureLink",
    "replay",
]
