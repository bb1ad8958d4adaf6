"""The schema as a whole: whom it names, what it says, and where it is written down."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    is_specified_scalar_type,
)
from pydantic.alias_generators import to_camel

from tests.api.operations import SCHEMA, fields_of
from transferhub.api import inputs, reference
from transferhub.api.hub_graph import MUTATIONS, QUERIES
from transferhub.api.inputs import DERIVED
from transferhub.api.object_specs import spec_values
from transferhub.api.specs import FORMS
from transferhub.control.vault import SHAPES
from transferhub.errors import InputError
from transferhub.model.channel import KINDS
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.images.spec import parse_spec as parse_images
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec

REPOSITORY = Path(__file__).parents[2]
VENDORS = re.compile(r"\b(amazon|aws|s3|sqs|azure|google|alibaba|aliyun|appsync)", re.IGNORECASE)


def described() -> Iterator[tuple[str, str | None]]:
    """Each type, field, argument and value of the schema with what is said of it."""
    for name, kind in SCHEMA.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                yield f"{name}.{field_name}", field.description
                for argument, of in getattr(field, "args", {}).items():
                    yield f"{name}.{field_name}({argument})", of.description
        if isinstance(kind, GraphQLEnumType):
            for value, of_value in kind.values.items():
                yield f"{name}.{value}", of_value.description


def test_everything_is_described() -> None:
    assert [name for name, text in described() if not text or not text.strip()] == []


def test_what_is_said_is_whole_sentences() -> None:
    assert [name for name, text in described() if not re.search(r"[.…:]\"?$|=…$", text or "")] == []


def test_every_field_has_a_resolver_and_every_resolver_a_field() -> None:
    assert fields_of("query").keys() == QUERIES.keys()
    assert fields_of("mutation").keys() == MUTATIONS.keys()


def test_no_name_is_a_vendors() -> None:
    names = {re.sub(r"^AWS", "", name) for name, _ in described()}
    assert [name for name in names if VENDORS.search(name)] == []


def test_only_what_was_just_made_is_told_with_its_secret() -> None:
    secret = re.compile("secret|password|token$|key$", re.IGNORECASE)
    told = [
        f"{name}.{field}"
        for name, kind in SCHEMA.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
        for field in kind.fields
        if secret.search(field) and name not in ("Mutation", "Query")
    ]
    keys_of_objects = ["FailureGroup.exampleKey", "FirstKey.key", "Transfer.key"]
    once = ["NewEventToken.secret", "NewLink.secret", "NewToken.secret", "NewToken.token"]
    assert sorted(told) == sorted([*keys_of_objects, *once])


def test_only_the_prelude_names_what_appsync_has_itself() -> None:
    folder = Path(inputs.SCHEMA).parent
    declared = re.findall(r"^scalar (\w+)", (folder / "prelude.graphql").read_text(), re.MULTILINE)
    schema = inputs.SCHEMA.read_text()
    assert declared == ["AWSDateTime", "AWSJSON"]
    assert (
        re.findall(r"^(?:scalar|directive|extend|interface|union) .*", schema, re.MULTILINE) == []
    )
    assert "@" not in re.sub(r'""".*?"""', "", schema)


def test_the_inputs_are_what_the_models_say() -> None:
    schema = inputs.SCHEMA.read_text()
    assert inputs.updated(schema) == schema


def test_the_reference_is_what_the_schema_says() -> None:
    assert (REPOSITORY / "docs" / "graphql.md").read_text() == reference.page(SCHEMA)


def test_every_field_of_a_credential_can_be_given() -> None:
    given = {
        to_camel(name) for shape in SHAPES.values() for name in (*shape.needed, *shape.optional)
    }
    kind = SCHEMA.type_map["CredentialInput"]
    assert isinstance(kind, GraphQLInputObjectType)
    assert kind.fields.keys() - {"name", "kind"} == given


def test_every_field_of_a_channel_can_be_given() -> None:
    kind = SCHEMA.type_map["ChannelInput"]
    assert isinstance(kind, GraphQLInputObjectType)
    assert kind.fields.keys() == {name for model in KINDS.values() for name in model.model_fields}


SPECS: list[Mapping[str, Any]] = [
    {"source": "s3://a/b", "destination": "file:///c"},
    {
        "source": {"url": "s3://a/b", "endpoint": "http://127.0.0.1:9000", "addressing": "path"},
        "destination": {"url": "oss://b/", "region": "cn-hangzhou", "anonymous": True},
        "storage_class": {"STANDARD": "IA", "*": "STANDARD"},
        "newer_than": "7d",
        "older_than": "2126-01-01T00:00:00+00:00",
        "include": ("*.jpg", "a/**"),
        "min_size": 1 << 40,
        "max_delete_percent": 12.5,
        "mirror": True,
        "max_delete": 5,
    },
    {
        "source": "s3://a/b",
        "destination": "s3://c/",
        "inventory": "s3://lists/a/2026/manifest.json",
        "acl": "private",
        "sse": "aws:kms",
        "kms_key": "k",
    },
    {
        "source": "s3://a/b",
        "destination": "s3://c/",
        "inventory": {"url": "s3://lists/", "endpoint": "http://127.0.0.1:9000"},
        "inventory_key": "a/manifest.json",
        "storage_classes_in": ["STANDARD"],
    },
]


IMAGES: list[Mapping[str, Any]] = [
    {"source": "registry.example.com:5000/team", "destination": "ecr://eu-west-1", "all": True},
    {
        "source": {"url": "public"},
        "destination": {
            "url": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/mirror",
            "credential": "keys",
            "endpoint": "https://ecr.example.com",
        },
        "images": ["docker.io/nginx:1.27", "quay.example.com/a/b:ALL_TAGS"],
        "rename": {"library/": "", "a/b": "c"},
        "newest": 5,
        "cosign": False,
    },
    {
        "source": {"scheme": "registry", "host": "10.0.0.1:5000", "plain_http": True},
        "destination": {"scheme": "ecr", "region": "cn-north-1", "account": "111122223333"},
        "all": True,
        "prune": True,
        "max_delete": 50,
    },
]


@pytest.mark.parametrize("values", IMAGES)
def test_a_spec_of_images_that_is_told_can_be_given_back(values: Mapping[str, Any]) -> None:
    form = FORMS["images"]
    spec = parse_images(values)
    told = form.told(spec.to_json())
    kind = SCHEMA.type_map["ImagesSpecInput"]
    assert isinstance(kind, GraphQLInputObjectType)
    assert told.keys() <= kind.fields.keys()
    assert parse_images(form.values(told)) == spec


@pytest.mark.parametrize(
    ("registry", "field"),
    [
        ({"url": "a host"}, "source.url"),
        ({"host": "a host"}, "source.host"),
        ({"host": "registry.example.com", "prefix": "a:b"}, "source.prefix"),
        ({"scheme": "ecr", "region": "nowhere"}, "source.region"),
        ({"scheme": "ecr", "region": "eu-west-1", "prefix": "a:b"}, "source.prefix"),
        ({"scheme": "ecr", "region": "eu-west-1", "account": "1"}, "source.account"),
        ({"scheme": "ftp", "host": "registry.example.com"}, "source.scheme"),
        ({}, "source"),
    ],
)
def test_a_fault_of_a_registry_is_of_the_part_that_was_given(
    registry: Mapping[str, str], field: str
) -> None:
    form = FORMS["images"]
    given = {"source": registry, "destination": {"url": "ecr://eu-west-1"}, "all": True}
    with pytest.raises(InputError) as caught:
        parse_images(form.values(given))
    assert form.field(caught.value.field.removeprefix("spec."), given) == field


def test_a_repository_has_one_new_name() -> None:
    rename = [{"from": "a", "to": "b"}, {"from": "a", "to": "b"}, {"from": "a", "to": "c"}]
    assert FORMS["images"].values({"rename": rename[:2]}) == {"rename": {"a": "b"}}
    with pytest.raises(InputError, match="'a' has two names"):
        FORMS["images"].values({"rename": rename})


@pytest.mark.parametrize("values", SPECS)
def test_a_spec_that_is_told_can_be_given_back(values: Mapping[str, Any]) -> None:
    spec = parse_spec(values)
    told = FORMS["objects"].told(spec.to_json())
    kind = SCHEMA.type_map["ObjectsSpecInput"]
    assert isinstance(kind, GraphQLInputObjectType)
    assert told.keys() <= kind.fields.keys()
    again = parse_spec(spec_values(told)).to_json()
    first = spec.to_json()
    if spec.newer_than_given:  # an age counts from now
        assert again.pop("newer_than") >= first.pop("newer_than")
    assert again == first


def test_an_inventory_that_is_a_url_alone_is_reached_as_the_source_is() -> None:
    source = {"url": "s3://a/b", "endpoint": "http://127.0.0.1:9000"}
    url = "s3://lists/a/manifest.json"
    given = {"source": source, "destination": {"url": "s3://c/"}, "inventory": {"url": url}}
    spec = parse_spec(spec_values(given))
    assert spec.inventory is not None
    assert (spec.inventory.endpoint, spec.inventory.bucket) == (source["endpoint"], "lists")
    assert spec.inventory_key == "a/manifest.json"
    apart = {"url": "s3://lists/", "endpoint": "http://127.0.0.1:9001"}
    with pytest.raises(InputError, match="inventory_key"):
        parse_spec(spec_values({**given, "inventory": apart}))
    spec = parse_spec(spec_values({**given, "inventory": apart, "inventoryKey": "m.json"}))
    assert spec.inventory is not None
    assert spec.inventory.endpoint == apart["endpoint"]


@pytest.mark.parametrize("text", ["=", "A=", "=B", "A=B,", "A=B,C", "A=B,=C"])
def test_a_map_of_classes_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no map"):
        spec_values({"storageClass": text})


def test_fields_that_nobody_gives_are_few_and_known() -> None:
    models = (ObjectsSpec, Location, ImagesSpec, RegistryLocation)
    known = {name for model in models for name in model.model_fields}
    assert known >= DERIVED
