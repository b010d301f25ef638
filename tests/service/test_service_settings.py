"""Settings of a service that are places: what each means, and what is refused."""

import pytest

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.service.settings import load_service_settings
from databricks_responses_mcp.workspace.secret_values import SecretValues

PICTURES = "RESPONSES_MCP_SERVICE_PICTURES"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/Volumes/main/default/pictures/", "/Volumes/main/default/pictures"),
        ("/Volumes/main/default/pictures/team", "/Volumes/main/default/pictures/team"),
        ("/VolumesOfTheTeam/pictures", "/VolumesOfTheTeam/pictures"),
        ("/srv/pictures", "/srv/pictures"),
    ],
)
def test_pictures_are_in_a_volume_or_in_a_directory_of_any_other_name(given: str, meant: str) -> None:
    assert load_service_settings({PICTURES: given}, secrets=SecretValues()).pictures == meant


@pytest.mark.parametrize(
    "given",
    ["/Volumes", "/Volumes/", "/Volumes/main/default", "/Volumes/main/../pictures", "/Volumes//a/b/c", "pictures"],
)
def test_a_place_for_pictures_that_is_no_volume_and_no_directory_is_refused(given: str) -> None:
    with pytest.raises(BridgeError, match=PICTURES):
        load_service_settings({PICTURES: given}, secrets=SecretValues())
