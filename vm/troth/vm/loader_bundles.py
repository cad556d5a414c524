"""What the loader checks of bundles: sessions that are opened and closed together."""

from __future__ import annotations

from typing import Final

from troth.vm.image import Bundle, BundleChild, Image
from troth.vm.limits import BUNDLE_CHILDREN_MAX, Limits
from troth.vm.loader_protocols import refuse, require_distinct

ROLES_MIN: Final = 2


def check_bundles(image: Image, limits: Limits) -> None:
    """Everything that must hold for the bundles of an image.

    Raises:
        Invalid: `image.bundle`, `image.name`.
    """
    names = [*(item.name for item in image.protocols), *(item.name for item in image.bundles)]
    require_distinct(names, "protocols or bundles", "bundles")
    for place, bundle in enumerate(image.bundles):
        _check_bundle(image, bundle, limits, f"bundles[{place}]")


def _check_bundle(image: Image, bundle: Bundle, limits: Limits, here: str) -> None:
    count = len(bundle.roles)
    if not ROLES_MIN <= count <= limits.roles_max:
        expected = f"{ROLES_MIN} to roles_max = {limits.roles_max}"
        refuse("image.bundle", "A bundle has an impossible number of roles", here, expected)
    require_distinct(bundle.roles, "roles", here)
    if not 1 <= len(bundle.children) <= BUNDLE_CHILDREN_MAX:
        expected = f"1 to {BUNDLE_CHILDREN_MAX}"
        refuse("image.bundle", "A bundle has an impossible number of children", here, expected)
    require_distinct([child.name for child in bundle.children], "children", here)
    for child in bundle.children:
        _check_child(image, bundle, child, f"{here}.{child.name}")
    playing = {player for child in bundle.children for player in child.players}
    if len(playing) < count:
        idle = next(role for number, role in enumerate(bundle.roles) if number not in playing)
        refuse("image.bundle", "A role of a bundle plays in none of its children", here, None, idle)


def _check_child(image: Image, bundle: Bundle, child: BundleChild, here: str) -> None:
    if child.protocol >= len(image.protocols):
        expected = f"a protocol below {len(image.protocols)}"
        refuse("image.bundle", "A child is of no protocol", here, expected, str(child.protocol))
    roles = image.protocols[child.protocol].roles
    if len(child.players) != len(roles) or len(set(child.players)) != len(roles):
        expected = f"{len(roles)} different roles of the bundle"
        refuse("image.bundle", "Each role of a child has a player of its own", here, expected)
    if max(child.players) >= len(bundle.roles):
        expected = f"a role below {len(bundle.roles)}"
        refuse("image.bundle", "A child is played by no role", here, expected)
