"""Lakebase: ``/api/2.0/postgres`` (endpoints of projects) and ``/api/2.0/database`` (instances), as far as clients need
them to connect. Who is signed in: ``/api/2.0/preview/scim/v2/Me``.
"""

import json
from typing import Any

from databricks_workspace_emulator.exchange import Incoming, Reply, json_reply
from databricks_workspace_emulator.lakebase import LakebaseDatabase
from databricks_workspace_emulator.replies import workspace_error


async def create_endpoint_credential(incoming: Incoming) -> Reply:
    """Issue a credential for the endpoint that the body names."""
    name = _body(incoming).get("endpoint")
    token, ends = _found(incoming.state.lakebase.endpoints, name, "endpoint").issue()
    return json_reply({"token": token, "expire_time": ends})


async def get_postgres_endpoint(incoming: Incoming) -> Reply:
    """Describe an endpoint."""
    name = f"projects/{incoming.path_params['rest']}"
    database = _found(incoming.state.lakebase.endpoints, name, "endpoint")
    status = {"current_state": "ACTIVE", "endpoint_type": "ENDPOINT_TYPE_READ_WRITE", "hosts": {"host": database.host}}
    return json_reply({"name": name, "parent": name.rpartition("/endpoints/")[0], "status": status})


async def create_instance_credential(incoming: Incoming) -> Reply:
    """Issue a credential for the instances that the body names."""
    body = _body(incoming)
    names = body.get("instance_names")
    if not isinstance(names, list) or not names:
        raise workspace_error(400, "INVALID_PARAMETER_VALUE", "At least one of instance_names or claims is required.")
    found = [_found(incoming.state.lakebase.instances, name, "database instance") for name in names]
    token, ends = found[0].issue()
    for other in found[1:]:
        other.issued.append(token)
    return json_reply({"token": token, "expiration_time": ends})


async def get_instance(incoming: Incoming) -> Reply:
    """Describe an instance."""
    name = incoming.path_params["name"]
    database = _found(incoming.state.lakebase.instances, name, "database instance")
    return json_reply({"name": name, "state": "AVAILABLE", "read_write_dns": database.host})


async def describe_user(incoming: Incoming) -> Reply:
    """Say who is signed in."""
    name = incoming.user.name
    return json_reply({"id": "1", "userName": name, "displayName": name, "active": True})


def _body(incoming: Incoming) -> dict[str, Any]:
    try:
        body = json.loads(incoming.raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise workspace_error(400, "MALFORMED_REQUEST", "The request body is not a JSON object.")
    return body


def _found(databases: dict[str, LakebaseDatabase], name: object, kind: str) -> LakebaseDatabase:
    found = databases.get(name) if isinstance(name, str) else None
    if found is None:
        raise workspace_error(404, "NOT_FOUND", f"The {kind} {name!r} does not exist.")
    return found
