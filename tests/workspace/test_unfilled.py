from databricks_responses_mcp.workspace.settings import forget_unfilled


def test_a_field_that_was_left_empty_in_a_hosts_form_counts_as_unset() -> None:
    environ = {
        "DATABRICKS_HOST": "${user_config.host}",
        "DATABRICKS_TOKEN": " ${user_config.token} ",
        "DATABRICKS_CONFIG_PROFILE": "work",
        "RESPONSES_MCP_MODEL": "",
    }
    forget_unfilled(environ)
    assert environ == {"DATABRICKS_CONFIG_PROFILE": "work", "RESPONSES_MCP_MODEL": ""}


def test_what_someone_wrote_stays() -> None:
    environ = {
        "DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}",
        "RESPONSES_MCP_IMAGE_DIR": "${user_config.image_dir}/pictures",
        "PS1": "${user_config.a}${user_config.b}",
    }
    kept = dict(environ)
    forget_unfilled(environ)
    assert environ == kept
