"""A switch to test applications against, without FreeSWITCH.

`call` hands a scripted call to an application over a real socket and gives back what it did;
`FakeSwitch` is an event socket for clients. Scripts say how applications go, when the caller hangs
up, in which order the end is told, and what goes wrong.
"""

from troth.streaming.eventsocket.testing.commands_in import Command as Command
from troth.streaming.eventsocket.testing.fake_server import SwitchScript as SwitchScript
from troth.streaming.eventsocket.testing.replay import Part as Part
from troth.streaming.eventsocket.testing.replay import parts as parts
from troth.streaming.eventsocket.testing.script import App as App
from troth.streaming.eventsocket.testing.script import EndOrder as EndOrder
from troth.streaming.eventsocket.testing.script import Fault as Fault
from troth.streaming.eventsocket.testing.script import Script as Script
from troth.streaming.eventsocket.testing.script import SetUp as SetUp
from troth.streaming.eventsocket.testing.shell_fake_switch import CallInProgress as CallInProgress
from troth.streaming.eventsocket.testing.shell_fake_switch import FakeSwitch as FakeSwitch
from troth.streaming.eventsocket.testing.shell_fake_switch import Transcript as Transcript
from troth.streaming.eventsocket.testing.shell_fake_switch import call as call
from troth.streaming.eventsocket.testing.shell_replay import play as play
from troth.streaming.eventsocket.testing.shell_traffic import check_traffic as check_traffic

__all__ = [
    "App",
    "CallInProgress",
    "Command",
    "EndOrder",
    "FakeSwitch",
    "Fault",
    "Part",
    "Script",
    "SetUp",
    "SwitchScript",
    "Transcript",
    "call",
    "check_traffic",
    "parts",
    "play",
]
