"""What PostgreSQL's failures mean for the user."""

from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.postgres_url import Target

MISSING_DRIVER = (
    "RESPONSES_MCP_STORE names a PostgreSQL database, and the driver for it is not installed."
    " Install it: pip install 'databricks-responses-mcp[postgres]'."
)


def explained(error: Exception, target: Target, deadline_seconds: float) -> StoreError:
    """The error as told to the user: what happened to which database, and what to do. It shows no password."""
    from psycopg import Error, InterfaceError, OperationalError, errors

    where = target.label
    match error:
        case TimeoutError():
            text = (
                f"{where} gave no answer in {deadline_seconds:g} seconds. Try again; see that it runs and is reachable."
            )
        case errors.DiskFull():
            text = f"The disk of {where} is full. Free some space on the server."
        case errors.ReadOnlySqlTransaction():
            text = f"{where} is read-only. Give RESPONSES_MCP_STORE the URL of the primary server."
        case errors.InsufficientPrivilege():
            text = (
                f"The user may not do what is needed in {where} ({_said(error, target)}). Grant it CREATE on the"
                " database, or make it the owner of a schema databricks_responses_mcp."
            )
        case InterfaceError() if "ProactorEventLoop" in str(error):
            text = (
                "PostgreSQL cannot be used as the store on Windows. Set RESPONSES_MCP_STORE to the path of a file, or"
                " run the server on Linux or macOS."
            )
        case OperationalError() | OSError() if target.parameters.get("sslmode") == "verify-full":
            text = (
                f"{where} cannot be reached ({_said(error, target)}). See that it runs, that host and user in"
                " RESPONSES_MCP_STORE are right, and that its certificate is valid for that host: nothing is sent to"
                " any other. Where a proxy inspects TLS, PGSSLROOTCERT names the file with its authority."
            )
        case OperationalError() | OSError():
            text = (
                f"{where} cannot be reached ({_said(error, target)}). See that it runs, that the host, user and"
                " password in RESPONSES_MCP_STORE are right, and that it takes TLS, or else sslmode says so."
            )
        case Error():
            text = f"{where} refused a statement ({_said(error, target)}). See that nothing else changes its tables."
        case _:
            text = (
                f"What is kept in {where} is damaged ({type(error).__name__}). Delete the conversation that was asked"
                " for, or put back a copy of the database."
            )
    return StoreError(text)


def _said(error: BaseException, target: Target) -> str:
    """The first line of what the driver said, without any secret of the URL."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for key in ("password", "sslpassword", "passfile"):
        secret = target.parameters.get(key)
        if secret:
            line = line.replace(str(secret), "***")
    return line
