"""The session VM: runs program images over sessions and leaves evidence of what happened.

`run` runs an image on this machine; `Machine` is the sans-IO core beneath it, for embedding.
"""

from __future__ import annotations

from troth.vm.blobs import BlobStore as BlobStore
from troth.vm.blobs import BlobValue as BlobValue
from troth.vm.effect_traits import effect as effect
from troth.vm.errors import Fault as Fault
from troth.vm.errors import InternalError as InternalError
from troth.vm.errors import Invalid as Invalid
from troth.vm.errors import LimitExceeded as LimitExceeded
from troth.vm.errors import Malformed as Malformed
from troth.vm.errors import Place as Place
from troth.vm.errors import TrothError as TrothError
from troth.vm.errors import Unusable as Unusable
from troth.vm.image import Image as Image
from troth.vm.image_codec import decode_image as decode_image
from troth.vm.image_codec import encode_image as encode_image
from troth.vm.instructions import ReplayMode as ReplayMode
from troth.vm.instructions import Seal as Seal
from troth.vm.keys import KeyPair as KeyPair
from troth.vm.keys import TrustFile as TrustFile
from troth.vm.keys import parse_trust as parse_trust
from troth.vm.limits import Limits as Limits
from troth.vm.loader import load as load
from troth.vm.machine import Machine as Machine
from troth.vm.role_values import Choice as Choice
from troth.vm.role_values import Message as Message
from troth.vm.scheduling import Priority as Priority
from troth.vm.shell_blobs import DirectoryBlobStore as DirectoryBlobStore
from troth.vm.shell_blobs import MemoryBlobStore as MemoryBlobStore
from troth.vm.shell_hub import Hub as Hub
from troth.vm.shell_join import RoleEndpoint as RoleEndpoint
from troth.vm.shell_join import join as join
from troth.vm.shell_options import Runner as Runner
from troth.vm.shell_options import RunOptions as RunOptions
from troth.vm.shell_options import seed_from_number as seed_from_number
from troth.vm.shell_resume import ResumeResult as ResumeResult
from troth.vm.shell_resume import resume as resume
from troth.vm.shell_run import RunResult as RunResult
from troth.vm.shell_run import run as run
from troth.vm.shell_run import run_async as run_async
from troth.vm.shell_spread import LinkOptions as LinkOptions
from troth.vm.shell_spread import run_spread as run_spread
from troth.vm.shell_stage import Stage as Stage
from troth.vm.shell_stage import Staged as Staged
from troth.vm.values import Blob as Blob

__all__ = [
    "Blob",
    "BlobStore",
    "BlobValue",
    "Choice",
    "DirectoryBlobStore",
    "Fault",
    "Hub",
    "Image",
    "InternalError",
    "Invalid",
    "KeyPair",
    "LimitExceeded",
    "Limits",
    "LinkOptions",
    "Machine",
    "Malformed",
    "MemoryBlobStore",
    "Message",
    "Place",
    "Priority",
    "ReplayMode",
    "ResumeResult",
    "RoleEndpoint",
    "RunOptions",
    "RunResult",
    "Runner",
    "Seal",
    "Stage",
    "Staged",
    "TrothError",
    "TrustFile",
    "Unusable",
    "decode_image",
    "effect",
    "encode_image",
    "join",
    "load",
    "parse_trust",
    "resume",
    "run",
    "run_async",
    "run_spread",
    "seed_from_number",
]
