"""The side of a handshake that answers: one for every first message that is worth it."""

from __future__ import annotations

from troth.streaming.handshake import messages
from troth.streaming.handshake.identity import (
    Entropy,
    Identity,
    IdentityRefused,
    Side,
    check_proof,
    proof,
)
from troth.streaming.handshake.initiator import Handshaken, draw_connection
from troth.streaming.handshake.noise import KEY_BYTES, HandshakeState
from troth.streaming.transport_limits import HANDSHAKE_NS
from troth.vm.keys import VerifierKey


class Responder:
    """One half-open handshake. It answers at once, and waits for a third message that holds."""

    def __init__(
        self,
        *,
        identity: Identity,
        peers: tuple[VerifierKey, ...] | None,
        context: bytes,
        remote_connection: int,
        first: bytes,
        entropy: Entropy,
        now_ns: int,
    ) -> None:
        self._peers = peers
        self.connection = draw_connection(entropy)
        self.remote_connection = remote_connection
        self.expires_ns = now_ns + HANDSHAKE_NS
        start = messages.prologue(context, remote_connection)
        state = HandshakeState.start(start, identity.static, entropy(KEY_BYTES))
        state, _ = state.read_first(first)
        state, keys = state.write_second_keys()
        payload = self.connection.to_bytes(messages.CONNECTION_BYTES, "big")
        payload += proof(identity, Side.RESPONDER, state.hash)
        self._state, sealed = state.seal_payload(payload)
        self.answer = messages.respond(remote_connection, keys + sealed)
        """The datagram with the second message: the same every time the first one comes."""

    def complete(self, datagram: bytes) -> tuple[Handshaken, IdentityRefused | None]:
        """What a third message that holds gives. Where it is from somebody that we do not want,
        the refusal comes with the keys: the refusal can then be told where only they can read it.

        Raises:
            Malformed: it does not hold, and has changed nothing.
        """
        message = messages.body_of(datagram, messages.COMPLETE_BYTES)
        state, sealed = self._state.read_third_keys(message)
        bound = state.hash
        state, shown = state.open_payload(sealed)
        refusal = None
        try:
            peer = check_proof(shown, Side.INITIATOR, bound, self._peers)
        except IdentityRefused as error:
            refusal, peer = error, VerifierKey("refused", shown[:KEY_BYTES])
        receiving, sending = state.split()
        done = Handshaken(
            Side.RESPONDER,
            peer,
            sending,
            receiving,
            self.connection,
            self.remote_connection,
            state.hash,
        )
        return done, refusal
