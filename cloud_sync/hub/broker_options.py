"""The options by which a command finds the broker, and says who we are there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cloud_sync.wire.endpoint import Endpoint

BROKER = "localhost:8884"  # where the broker listens for the hub; stations come in by 8883
IDENTITY = Path("identity")

Broker = Annotated[
    str,
    typer.Option(
        help="The broker's HOST:PORT, over mutual TLS; mqtt://127.0.0.1:PORT for one on this machine, in the clear."
    ),
]
IdentityFolder = Annotated[
    Path, typer.Option("--identity", help="Folder with ca.crt and identity.pem: who we are to the broker.")
]


def endpoint_at(broker: str, identity: Path) -> "Endpoint":
    """The broker as the options name it. Raises typer.BadParameter."""
    from cloud_sync.wire.endpoint import Endpoint
    from cloud_sync.wire.errors import LinkError

    try:
        return Endpoint.parse(broker, identity)
    except LinkError as error:
        raise typer.BadParameter(str(error), param_hint="--broker") from error
