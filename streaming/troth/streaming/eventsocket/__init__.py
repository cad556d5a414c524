"""FreeSWITCH applications over its event socket.

`start_server` takes calls that the dialplan's `socket` application hands over, and runs a handler
for each; `connect` makes a client of a switch. `testing` has a fake switch.
"""

from troth.streaming.eventsocket.api import Job as Job
from troth.streaming.eventsocket.backoff import Backoff as Backoff
from troth.streaming.eventsocket.completion import Completion as Completion
from troth.streaming.eventsocket.endings import Ending as Ending
from troth.streaming.eventsocket.endings import Outcome as Outcome
from troth.streaming.eventsocket.errors import AccessDenied as AccessDenied
from troth.streaming.eventsocket.errors import AuthenticationFailed as AuthenticationFailed
from troth.streaming.eventsocket.errors import CallHungUp as CallHungUp
from troth.streaming.eventsocket.errors import CommandRefused as CommandRefused
from troth.streaming.eventsocket.errors import ConnectionEnded as ConnectionEnded
from troth.streaming.eventsocket.errors import NoAnswer as NoAnswer
from troth.streaming.eventsocket.errors import Progress as Progress
from troth.streaming.eventsocket.errors import SessionFailure as SessionFailure
from troth.streaming.eventsocket.errors import Unreachable as Unreachable
from troth.streaming.eventsocket.event import Event as Event
from troth.streaming.eventsocket.event import EventFormat as EventFormat
from troth.streaming.eventsocket.headers import Headers as Headers
from troth.streaming.eventsocket.limits import Limits as Limits
from troth.streaming.eventsocket.messages import CommandReply as CommandReply
from troth.streaming.eventsocket.messages import LogLine as LogLine
from troth.streaming.eventsocket.parser import MessageParser as MessageParser
from troth.streaming.eventsocket.privacy import Privacy as Privacy
from troth.streaming.eventsocket.reports import HandlerEnd as HandlerEnd
from troth.streaming.eventsocket.reports import Metrics as Metrics
from troth.streaming.eventsocket.reports import SessionReport as SessionReport
from troth.streaming.eventsocket.shell_call import Call as Call
from troth.streaming.eventsocket.shell_client import Channel as Channel
from troth.streaming.eventsocket.shell_client import Client as Client
from troth.streaming.eventsocket.shell_client import ClientOptions as ClientOptions
from troth.streaming.eventsocket.shell_client import connect as connect
from troth.streaming.eventsocket.shell_program import program_handler as program_handler
from troth.streaming.eventsocket.shell_record import Recording as Recording
from troth.streaming.eventsocket.shell_server import EventSocketServer as EventSocketServer
from troth.streaming.eventsocket.shell_server import ServerOptions as ServerOptions
from troth.streaming.eventsocket.shell_server import WhenDone as WhenDone
from troth.streaming.eventsocket.shell_server import start_server as start_server

__all__ = [
    "AccessDenied",
    "AuthenticationFailed",
    "Backoff",
    "Call",
    "CallHungUp",
    "Channel",
    "Client",
    "ClientOptions",
    "CommandRefused",
    "CommandReply",
    "Completion",
    "ConnectionEnded",
    "Ending",
    "Event",
    "EventFormat",
    "EventSocketServer",
    "HandlerEnd",
    "Headers",
    "Job",
    "Limits",
    "LogLine",
    "MessageParser",
    "Metrics",
    "NoAnswer",
    "Outcome",
    "Privacy",
    "Progress",
    "Recording",
    "ServerOptions",
    "SessionFailure",
    "SessionReport",
    "Unreachable",
    "WhenDone",
    "connect",
    "program_handler",
    "start_server",
]
