import pytest

from transferhub.cli.job import Faults, read_locations
from transferhub.plugins.images.registry_location import RegistryLocation


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/team",
        "docker.io",
        "localhost/x",
        "registry:5000/a/b",
        "[::1]:5000",
        "ecr://eu-west-1/team",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "public",
    ],
)
def test_a_registry_is_known_by_how_it_is_written(text: str) -> None:
    faults = Faults()
    one, other = read_locations([text, text], faults)
    assert isinstance(one, RegistryLocation)
    assert (one.environment, other.environment) == ("source", "destination")
    assert faults.found == []


@pytest.mark.parametrize("text", ["s3://b", "file:///d"])
def test_a_place_of_objects_is_one_still(text: str) -> None:
    (place,) = read_locations([text], Faults())
    assert not isinstance(place, RegistryLocation)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("photos", "write s3://photos for a bucket"),
        ("./photos", "for a folder write"),
        ("/srv/photos.d", "for a folder write file:///srv/photos.d"),
        ("~/photos.d", "for a folder write"),
        ("C:/photos", "path of Windows"),
        ("", "is empty"),
        ("ecr://nowhere", "names no AWS region"),
        ("ghcr.io/team/app:1", "is an image"),
    ],
)
def test_what_is_no_place_is_told(text: str, sentence: str) -> None:
    faults = Faults()
    assert read_locations([text], faults) == []
    (fault,) = faults.found
    assert sentence in fault.message
