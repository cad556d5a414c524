"""Which image a run has to be of: your own choice instead of the file's word."""

from __future__ import annotations

from typing import NamedTuple

from troth.conformance.divergence import Divergence
from troth.conformance.protocols import ProtocolSource
from troth.conformance.refusals import refused_image
from troth.conformance.structure_head import loading_limits
from troth.conformance.world import World
from troth.vm.errors import TrothError
from troth.vm.image import Image
from troth.vm.loader import load


class ImagePin(NamedTuple):
    """`image` is None when only its id is known; then the file must bring the image itself."""

    id: bytes
    image: Image | None

    def apply(self, world: World, source: ProtocolSource) -> None:
        """To be called once the header is known: provides the image to all levels.

        Raises:
            Divergence: `replay.pinned`, when the header names another image.
        """
        assert world.header is not None
        if world.header.image_id != self.id:
            raise Divergence(
                "replay.pinned",
                "the run is not of the image that you pinned",
                expected=self.id.hex(),
                expected_side="pinned by you",
                actual=world.header.image_id.hex(),
                actual_side="recorded in the header",
            )
        if self.image is None:
            return
        try:
            world.image = load(self.image, loading_limits(world.limits))
        except TrothError as error:
            raise refused_image(error) from error
        source.add_image(world.image)
