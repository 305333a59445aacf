"""An OPC UA server that shows one vision system. The only user of asyncua.

The namespace is ours, modelled on OPC 40100-1 (machine vision): its states and its ResultReady event by their names,
with our verdict, for which that standard has no field. It is not the standard's nodeset, which asyncua does not carry.
Clients may read and subscribe; nobody may write, call or add anything, whatever name he gives.
"""

import logging
from datetime import UTC, datetime
from typing import Self

from asyncua import ua
from asyncua.common.node import Node
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.event_generator import EventGenerator
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager

from edge.line.outputs.vision_states import PREOPERATIONAL
from edge.line.said import Told

NAMESPACE = "urn:inspectd:machine-vision"
EVENT_TYPE = "ResultReadyEventType"
_RESULT = {
    "PartId": ua.VariantType.String,
    "ProductId": ua.VariantType.String,
    "ResultId": ua.VariantType.String,
    "Verdict": ua.VariantType.String,
    "Reasons": ua.VariantType.String,
    "RecordSha256": ua.VariantType.String,
    "CreationTime": ua.VariantType.DateTime,
}
for _name in ("asyncua", "asyncio"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # it warns of every client; what matters is raised to us


class _Readers(UserManager):
    """Everybody is a reader; asyncua's own manager makes an administrator of whoever says `admin`."""

    def get_user(self, *_args: object, **_named: object) -> User:
        """A reader."""
        return User(role=UserRole.User)


class VisionServer:
    """The server's nodes; made by `started`, used in one event loop."""

    def __init__(self, server: Server, state: Node, ready: Node, why: Node, result: dict[str, Node]) -> None:
        self._server = server
        self._state = state
        self._ready = ready
        self._why = why
        self._result = result
        self._event: EventGenerator | None = None

    @classmethod
    async def started(cls, host: str, port: int, station: str) -> Self:
        """A server that listens. Raises OSError."""
        server = Server(user_manager=_Readers())
        _limit(server)
        await server.init()
        server.set_server_name(f"inspectd {station}")
        server.set_endpoint(f"opc.tcp://{host}:{port}/inspectd")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        made = await cls._populated(server, station)
        await server.start()
        return made

    async def tell(self, told: Told) -> None:
        """Show a verdict as the last result, and send its event."""
        values = {
            "PartId": told.part_id,
            "ProductId": told.product,
            "ResultId": told.inspection_id or "",
            "Verdict": told.verdict.value,
            "Reasons": list(told.reasons),
            "RecordSha256": told.record_sha256 or "",
            "CreationTime": datetime.now(UTC),
        }
        assert self._event is not None  # noqa: S101 - made with the nodes
        for name, value in values.items():
            variant = ua.Variant(value, _RESULT[name], is_array=isinstance(value, list))
            setattr(self._event.event, name, variant)
            await self._result[name].write_value(variant)
        await self._event.trigger(message=f"{told.part_id}: {told.verdict.value}")

    async def show_state(self, name: str) -> None:
        """Show the state that the system is in."""
        await self._state.write_value(ua.Variant(ua.LocalizedText(name), ua.VariantType.LocalizedText))

    async def show_ready(self, why: str, *, ready: bool) -> None:
        """Show whether the station can inspect, and why not."""
        await self._ready.write_value(ready)
        await self._why.write_value(why)

    async def stop(self) -> None:
        """End every connection and stop listening."""
        await self._server.stop()

    @classmethod
    async def _populated(cls, server: Server, station: str) -> Self:
        index = await server.register_namespace(NAMESPACE)
        system = await server.nodes.objects.add_object(index, f"VisionSystem {station}")
        machine = await system.add_object(index, "VisionStateMachine")
        first = ua.Variant(ua.LocalizedText(PREOPERATIONAL), ua.VariantType.LocalizedText)
        state = await machine.add_variable(index, "CurrentState", first)
        ready = await system.add_variable(index, "Ready", False)
        why = await system.add_variable(index, "Why", "starting")
        results = await system.add_object(index, "ResultManagement")
        last = await results.add_object(index, "LastResult")
        nodes = {name: await last.add_variable(index, name, _empty(name)) for name in _RESULT}
        made = cls(server, state, ready, why, nodes)
        kind = await server.create_custom_event_type(index, EVENT_TYPE, properties=list(_RESULT.items()))
        made._event = await server.get_event_generator(kind)
        return made


def _limit(server: Server) -> None:
    """A client that hangs costs what these allow, and is forgotten after some minutes."""
    internal = server.iserver
    internal.max_connections = 50
    internal.max_subscriptions = 100
    internal.max_monitored_item_queue_size = 1000
    internal.max_unacked_messages_per_subscription = 100
    internal.max_lifetime_count = 1000


def _empty(name: str) -> ua.Variant:
    if name == "Reasons":
        return ua.Variant([], ua.VariantType.String, is_array=True)
    value = datetime.now(UTC) if _RESULT[name] is ua.VariantType.DateTime else ""
    return ua.Variant(value, _RESULT[name])
