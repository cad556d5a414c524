"""The commands between scripts and images: `compile` and `disasm`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from troth.dsl.shell_load import load_image, write_result
from troth.vm.assembly_write import disassemble
from troth.vm.error_text import describe_error
from troth.vm.errors import TrothError
from troth.vm.escape import escape
from troth.vm.image import Image
from troth.vm.image_codec import encode_image, image_id
from troth.vm.loader import load as check_image
from troth.vm.local_types import protocol_id

Subparsers = Any  # argparse does not export the type of add_subparsers()

_FILE: Final = "a .troth script, an .image, assembly, or a .replay artifact"


def add_parsers(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("compile", help="make an image of a script or of assembly")
    parser.add_argument("file", type=Path, metavar="FILE", help=_FILE)
    parser.add_argument(
        "-o", "--out", type=Path, metavar="OUT", help="write the image to OUT; else only the ids"
    )
    parser.set_defaults(run=compile_command)
    parser = subparsers.add_parser("disasm", help="show an image as assembly, which compiles again")
    parser.add_argument("file", type=Path, metavar="FILE", help=_FILE)
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="write the text to OUT")
    parser.set_defaults(run=disasm_command)


def compile_command(arguments: argparse.Namespace) -> int:
    """Prints the id of the image and of each protocol in it.

    Raises:
        TrothError: a file cannot be read, compiled or written.
    """
    image = load_image(arguments.file)
    data = encode_image(image)
    if arguments.out is not None:
        write_result(arguments.file, arguments.out, data)
    print(f"image {image_id(data).hex()}")
    for protocol in image.protocols:
        print(f"protocol {escape(protocol.name)} {protocol_id(protocol).hex()}")
    _warn(image)
    return 0


def disasm_command(arguments: argparse.Namespace) -> int:
    """Prints the assembly.

    Raises:
        TrothError: a file cannot be read, compiled or written.
    """
    image = load_image(arguments.file)
    text = disassemble(image)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        write_result(arguments.file, arguments.out, text.encode())
    return 0


def _warn(image: Image) -> None:
    """An image that no machine runs is still worth having: somebody may want to look at it."""
    try:
        check_image(image)
    except TrothError as error:
        text = describe_error(error)
        print(f"troth: warning: no machine would load this image: {text}", file=sys.stderr)
