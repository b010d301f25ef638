"""Lakebase databases: their addresses, and the credentials that were issued for them."""

import secrets
import time
from dataclasses import dataclass, field

_CREDENTIAL_SECONDS = 3600


@dataclass(eq=False)
class LakebaseDatabase:
    """An endpoint of a project (autoscaling), or an instance (provisioned).

    Attributes:
        host: where its PostgreSQL server listens.
        seconds: how long a credential is valid.
        issued: the credentials, the newest last.
    """

    host: str
    seconds: int = _CREDENTIAL_SECONDS
    issued: list[str] = field(default_factory=list)

    def issue(self) -> tuple[str, str]:
        """Return a new credential, and when it ends, as a timestamp of RFC 3339."""
        self.issued.append(f"eyJ-lakebase-{secrets.token_hex(16)}")
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.seconds))
        return self.issued[-1], ends


@dataclass(eq=False)
class Lakebase:
    """The databases of a workspace.

    Attributes:
        endpoints: by ``projects/P/branches/B/endpoints/E``.
        instances: by name.
    """

    endpoints: dict[str, LakebaseDatabase] = field(default_factory=dict)
    instances: dict[str, LakebaseDatabase] = field(default_factory=dict)
