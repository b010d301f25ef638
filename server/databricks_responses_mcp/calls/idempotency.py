"""Idempotency keys: calls repeated with the same key return the first result, whichever process they reach."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import anyio

from databricks_responses_mcp.calls.jobs import Jobs
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.records import KeyClaim
from databricks_responses_mcp.turns.store_calls import result_of_store, within_time_limit

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_VANISHED_SECONDS = 12.0
"""The time after which a claimed key is unused if its call is not stored; storing it takes less."""


class IdempotencyKey:
    """The key of one call.

    A call claims its key when it arrives, and is stored as a job before it begins. If it ends without costs, the key
    is released.

    Args:
        key: the key from the caller.
        fingerprint: equal for equal calls; see `fingerprint_of`.
        jobs: the jobs of the process, with its store.
        log_fields: additional fields of log lines about the call.
    """

    def __init__(self, key: str, fingerprint: str, jobs: Jobs, log_fields: Mapping[str, str]) -> None:
        self._log_fields = log_fields
        self._key = key
        self._fingerprint = fingerprint
        self._jobs = jobs

    async def claim(self, job_id: str) -> str | None:
        """Claim the key for a call; return the id of the earlier call that has it, or None if this is the first.

        Raises:
            BridgeError: ``invalid_argument`` if the earlier call had other arguments; ``internal`` if the store fails.
        """
        vanished_at: dict[str, float] = {}
        while True:
            claim = await self._claim(job_id)
            if claim.mine:
                return None
            if claim.fingerprint != self._fingerprint:
                raise BridgeError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"idempotency_key {quoted(self._key)} was used for a call with other arguments.",
                    "Use a new key for a new call.",
                )
            if self._jobs.here(claim.job_id) is not None or await self._jobs.stored(claim.job_id) is not None:
                return claim.job_id
            # That call is not stored yet, so it has not begun; or its process ended before it could store it.
            now = anyio.current_time()
            if now - vanished_at.setdefault(claim.job_id, now) > _VANISHED_SECONDS:
                await self.release(claim.job_id)
            await anyio.sleep(_LOOK_SECONDS)

    async def belongs_to(self, job_id: str) -> bool:
        """Return whether the key is still claimed for the call.

        Raises:
            BridgeError: ``internal`` if the store fails.
        """
        return (await self._claim(job_id)).job_id == job_id

    async def release(self, job_id: str) -> None:
        """Release the key, so that the call can be made again. Failures are logged, because the caller gets the call's
        own.
        """
        with anyio.CancelScope(shield=True):
            try:
                await within_time_limit(self._jobs.store.release_key(self._key, job_id))
            except StoreError as error:
                logger.warning(
                    "an idempotency key could not be released: %s", error, extra={"fields": self._log_fields}
                )
            except Exception:
                logger.exception("releasing an idempotency key failed", extra={"fields": self._log_fields})

    async def _claim(self, job_id: str) -> KeyClaim:
        return await result_of_store(
            self._jobs.store.claim_key(self._key, self._fingerprint, job_id, time.time()),
            "Whether this call was made before cannot be looked up",
            "Fix the store (see RESPONSES_MCP_STORE), or leave idempotency_key out.",
        )


def fingerprint_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return a text that is equal for equal calls only."""
    return hashlib.sha256(json.dumps([tool, arguments], sort_keys=True).encode()).hexdigest()
