"""Links over gRPC and mutual TLS between executors that know each other by the fingerprints on the chain.

Every executor listens, and calls each of its peers: a party's packets travel on the streams that it opened, their
acknowledgements on the way back. TLS lets in only certificates of the peers of open sessions; a stream is admitted
only if its certificate has the fingerprint that stands on the chain *now* for a party of *its* session. How streams
become links: :mod:`dtxeth.transport.session`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import msgpack
import structlog

from dtxeth.errors import ConfigError, DtxethError, InputError, TaskError
from dtxeth.transport.channel import TIMEOUT, Channel
from dtxeth.transport.identity import (
    SCHEME,
    TLS_NAME,
    Identity,
    Peer,
    fetch_certificate,
    fingerprint_of,
    host_and_port,
    parse_listen,
)
from dtxeth.transport.session import MAX_EPOCH, NONCE_BYTES, PACKET, Conflict, Session

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS: Final = 10
"""Time for a TLS handshake, on either side."""

MAX_STREAMS: Final = 256
"""Streams from peers at a time: one for each session and peer."""

MAX_CONNECTIONS: Final = 1024
"""TCP connections at a time."""

SESSION_BYTES: Final = 32
"""Length of a session's id."""

_SERVICE: Final = "dtxeth.Session"
_METHOD: Final = "Carry"
_TLS: Final = b"TLSv1.3"
_SWAP_SECONDS: Final = 0.1
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_LOOK_AGAIN: Final = 10.0  # seconds after which a party that waits looks whether a peer has a new certificate

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", PACKET + 1024),
    ("grpc.max_send_message_length", PACKET + 1024),
    ("grpc.max_metadata_size", 4096),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_http_proxy", 0),
)
_SERVER_OPTIONS: Final = (
    *_OPTIONS,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
)


class _Refusal(Exception):  # noqa: N818 - said to the caller, never raised to ours
    def __init__(self, code: grpc.StatusCode, reason: str, epoch: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.epoch = epoch


class _Entry:
    """A session with what its streams need."""

    def __init__(self, name: str, peers: Mapping[str, Peer], session: Session) -> None:
        self.name = name
        self.peers = peers
        self.session = session
        self.certificates: dict[str, bytes] = {}


class GrpcTransport:
    """An executor's door to its peers.

    Args:
        identity: Its TLS key and certificate; the fingerprint stands on the chain.
        listen: ``host:port`` to listen at; port 0 for any free one.
        endpoint: ``grpcs://host:port`` under which peers reach it; by default what it listens at.

    Raises:
        ConfigError: The address is not one, or taken.
        InputError: The endpoint is not one.
    """

    def __init__(self, identity: Identity, listen: str = "127.0.0.1:0", endpoint: str | None = None) -> None:
        host, port = parse_listen(listen)
        if endpoint is not None:
            host_and_port(endpoint)
        self._identity = identity
        self._entries: dict[bytes, _Entry] = {}
        self._calls: set[grpc.Call] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(MAX_STREAMS, thread_name_prefix="dtxeth session")
        self._server = grpc.server(
            self._threads,
            options=_SERVER_OPTIONS,
            maximum_concurrent_rpcs=MAX_STREAMS,
        )
        handlers = {_METHOD: grpc.stream_stream_rpc_method_handler(self._carry)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        credentials = grpc.dynamic_ssl_server_credentials(
            self._configuration(self._trusted()),
            self._changed_configuration,
            require_client_authentication=True,
        )
        try:
            bound = self._server.add_secure_port(f"{host}:{port}", credentials)
        except RuntimeError:
            raise ConfigError(
                f"cannot listen at {listen}: the address is taken or not ours; choose another"
            ) from None
        self._server.start()
        self.endpoint = endpoint or f"{SCHEME}://{host}:{bound}"

    @property
    def fingerprint(self) -> bytes:
        """Fingerprint of the certificate in use."""
        return self._identity.fingerprint

    def open(
        self, session: bytes, name: str, peers: Mapping[str, Peer], *, timeout: float = TIMEOUT
    ) -> Channel:
        """Open a session, or open it again after a peer has restarted.

        Args:
            session: Id that all parties share, 32 bytes, different for each task.
            name: This party.
            peers: The other parties; looked up again for every connection, so that it may be a view of the chain.
            timeout: Seconds that the channel waits for one message.

        Raises:
            InputError: The session is open, or its id has another length.
        """
        incarnation = self._enter(session, name, peers, waiting=False)
        return Channel(name, tuple(peers), incarnation, timeout=timeout)

    def stand_by(self, session: bytes, name: str, peers: Mapping[str, Peer]) -> None:
        """Listen for peers that still need this party in a session where it has nothing left to do.

        Raises:
            InputError: The session is open, or its id has another length.
        """
        self._enter(session, name, peers, waiting=True)

    def wanted(self, session: bytes) -> bool:
        """Whether a peer has begun a session anew, so that it should be opened again."""
        entry = self._entries.get(session)
        return entry is not None and entry.session.wanted

    def away(self, session: bytes) -> tuple[str, ...]:
        """The peers in a session that have no connection with this party now."""
        entry = self._entries.get(session)
        return () if entry is None else entry.session.away

    def forget(self, session: bytes) -> None:
        """End a session for good; whoever still waits in it gets a :class:`~dtxeth.errors.TaskError`."""
        with self._lock:
            entry = self._entries.pop(session, None)
        if entry is not None:
            entry.session.end(lambda: TaskError("the task has ended: see its status on the chain"))

    def rotate(self, identity: Identity) -> None:
        """Use another key and certificate from now on; put the fingerprint on the chain first.

        All streams are broken and made anew; sessions go on.
        """
        with self._lock:
            self._identity = identity
            entries, calls = list(self._entries.values()), list(self._calls)
        for entry in entries:
            entry.session.hang_up()
        for call in calls:
            call.cancel()

    def close(self, grace: float = 2.0) -> None:
        """End all sessions and stop listening; what was said has ``grace`` seconds to reach the peers."""
        for session, entry in list(self._entries.items()):
            entry.session.close()
            entry.session.rest(grace, lambda here=entry: not here.session.owes)  # type: ignore[misc]
            self.forget(session)
        self._server.stop(0).wait()
        self._threads.shutdown()

    def __enter__(self) -> GrpcTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _enter(self, session: bytes, name: str, peers: Mapping[str, Peer], waiting: bool) -> Session:
        if len(session) != SESSION_BYTES:
            raise InputError(f"a session's id has {SESSION_BYTES} bytes, got {len(session)}")
        with self._lock:
            earlier = self._entries.get(session)
            if earlier is not None and not (earlier.session.over or earlier.session.closed):
                raise InputError(f"session {session.hex()[:16]}… is open already: close its channel first")
            epoch = 1 if earlier is None else earlier.session.successor
            incarnation = Session(peers, epoch, waiting=waiting)
            entry = self._entries[session] = _Entry(name, peers, incarnation)
            if earlier is not None:
                entry.certificates = earlier.certificates
        if earlier is not None:
            earlier.session.end(lambda: TaskError("the session was opened again"))
        for peer in peers:
            threading.Thread(
                target=self._keep_calling,
                args=(session, entry, peer),
                name=f"{name} to {peer}",
                daemon=True,
            ).start()
        return incarnation

    def _changed_configuration(self) -> Any:
        """What TLS shows and trusts from this handshake on; None if that is what it was."""
        trusted = self._trusted()
        if trusted == self._in_force:
            return None
        # gRPC replaces what other handshakes may be about to use (it asks us under a lock, but they use it outside of
        # it), and would free it under them: give those time to pass. New ones wait for the lock meanwhile.
        time.sleep(_SWAP_SECONDS)
        return self._configuration(trusted)

    def _configuration(self, trusted: frozenset[bytes]) -> Any:
        self._in_force = trusted
        identity = self._identity
        return grpc.ssl_server_certificate_configuration(
            [(identity.key, identity.certificate)], b"".join(sorted(trusted))
        )

    def _trusted(self) -> frozenset[bytes]:
        """The certificates of all peers, and our own, which is never absent."""
        entries = list(self._entries.values())
        known = [certificate for entry in entries for certificate in list(entry.certificates.values())]
        return frozenset({self._identity.certificate, *known})

    # The side that calls

    def _keep_calling(self, session: bytes, entry: _Entry, name: str) -> None:
        """Keep a stream to a peer for as long as there is something to say; know its certificate for longer."""
        here, pause, told = entry.session, _FIRST_PAUSE, ""
        note = log.bind(session=session.hex()[:16], party=entry.name, peer=name)
        while not here.over:
            try:
                peer = entry.peers[name]
                if not self._knows(entry, name, peer):
                    entry.certificates[name] = fetch_certificate(peer, HANDSHAKE_SECONDS)
                if here.has_business(name):
                    self._converse(session, entry, name, peer)
                    told, pause = "", _FIRST_PAUSE
                else:
                    here.rest(_LOOK_AGAIN, lambda: here.has_business(name))
                    continue
            except Conflict:
                return  # the session is over
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.CANCELLED:
                    pause = _FIRST_PAUSE
                reason = f"{error.code().name}: {error.details()}"
                if reason != told:
                    note.info("no stream to the peer", reason=reason)
                told = reason
            except (DtxethError, OSError) as error:
                if str(error) != told:
                    note.warning("the peer cannot be called", reason=str(error))
                told = str(error)
            here.rest(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _knows(self, entry: _Entry, name: str, peer: Peer) -> bool:
        known = entry.certificates.get(name)
        return known is not None and fingerprint_of(known) == peer.fingerprint

    def _converse(self, session: bytes, entry: _Entry, name: str, peer: Peer) -> None:
        here = entry.session
        host, port = host_and_port(peer.endpoint)
        with self._lock:
            identity = self._identity
        credentials = grpc.ssl_channel_credentials(
            entry.certificates[name], identity.key, identity.certificate
        )
        options = (
            *_OPTIONS,
            ("grpc.ssl_target_name_override", TLS_NAME),
            ("grpc.use_local_subchannel_pool", 1),
        )
        about = msgpack.packb([session, entry.name, here.epoch, here.nonce])
        stream = here.call(name)
        with grpc.secure_channel(f"{host}:{port}", credentials, options) as channel:
            begin = channel.stream_stream(f"/{_SERVICE}/{_METHOD}")
            call = begin(here.packets(name, stream), metadata=(("about-bin", about),))
            with self._lock:
                self._calls.add(call)
            try:
                self._listen(here, name, call)
            except grpc.RpcError as error:
                self._follow(here, name, error)
                raise
            finally:
                call.cancel()
                here.call(name)
                with self._lock:
                    self._calls.discard(call)

    def _listen(self, here: Session, name: str, call: Iterator[bytes]) -> None:
        """Take the acknowledgements in."""
        try:
            epoch, nonce, expected = _parse_greeting(next(call, b""))
            here.meet(name, epoch, nonce)
            here.acknowledge(name, expected)
            for answer in call:
                here.acknowledge(name, int.from_bytes(answer))
        except ValueError as error:
            log.warning("a peer broke the rules", peer=name, reason=str(error))
            here.refuse(name, str(error))

    def _follow(self, here: Session, name: str, error: grpc.RpcError) -> None:
        """Go where a peer refers us to that has left our epoch."""
        for key, value in error.trailing_metadata() or ():
            epoch = int.from_bytes(value) if key == "epoch-bin" and isinstance(value, bytes) else 0
            if here.epoch < epoch <= MAX_EPOCH:
                here.leave(name, epoch)

    # The side that is called

    def _carry(self, packets: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """One stream from a peer, from its admission to its end."""
        try:
            session, name = self._admit(context)
        except _Refusal as refusal:
            log.warning("a stream was refused", caller=context.peer(), reason=str(refusal))
            context.set_trailing_metadata((("epoch-bin", refusal.epoch.to_bytes(8)),))
            context.abort(refusal.code, str(refusal))
        stream = session.answer(name, context.cancel)
        try:
            yield msgpack.packb([session.epoch, session.nonce, session.expected(name)])
            for packet in packets:
                expected = session.take(name, stream, packet)
                if expected is None:
                    return
                yield expected.to_bytes(8)
        except ValueError as error:
            log.warning("a peer broke the rules", peer=name, reason=str(error))
            session.refuse(name, str(error))
        except grpc.RpcError:
            log.info("a stream broke", peer=name)
        finally:
            session.part(name, stream)

    def _admit(self, context: grpc.ServicerContext) -> tuple[Session, str]:
        proof = context.auth_context()
        if list(proof.get("ssl_tls_version", ())) != [_TLS]:
            raise _Refusal(grpc.StatusCode.PERMISSION_DENIED, "only TLS 1.3 is spoken here")
        (certificate,) = proof["x509_pem_cert"]
        session, name, epoch, nonce = _parse_about(dict(context.invocation_metadata()).get("about-bin"))
        entry = self._entries.get(session)
        # Who has no part in a session is not told whether there is one.
        stranger = _Refusal(grpc.StatusCode.PERMISSION_DENIED, "not a party of an open session")
        if entry is None or name not in entry.peers:
            raise stranger
        try:
            fingerprint = entry.peers[name].fingerprint
        except DtxethError as error:
            raise _Refusal(
                grpc.StatusCode.UNAVAILABLE, f"cannot look the party up: {type(error).__name__}"
            ) from None
        if fingerprint_of(certificate) != fingerprint:
            raise stranger
        try:
            entry.session.meet(name, epoch, nonce)
        except Conflict as conflict:
            raise _Refusal(grpc.StatusCode.ABORTED, "another incarnation", conflict.epoch) from None
        return entry.session, name


def _parse_about(data: Any) -> tuple[bytes, str, int, bytes]:
    match _unpack(data):
        case [bytes(session), str(name), int(epoch), bytes(nonce)] if (
            0 < epoch <= MAX_EPOCH and len(nonce) == NONCE_BYTES
        ):
            return session, name, epoch, nonce
    raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, "the stream does not say which session it is for")


def _parse_greeting(data: bytes) -> tuple[int, bytes, int]:
    match _unpack(data):
        case [int(epoch), bytes(nonce), int(expected)] if (
            0 < epoch <= MAX_EPOCH and len(nonce) == NONCE_BYTES
        ):
            return epoch, nonce, expected
    raise ValueError("answered with a malformed greeting; it may run another version")


def _unpack(data: Any) -> Any:
    try:
        return msgpack.unpackb(data, max_bin_len=64, max_str_len=256, max_array_len=4)
    except (TypeError, ValueError, RecursionError, msgpack.UnpackException):
        return None
