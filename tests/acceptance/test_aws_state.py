"""A state on AWS is created, looked at and deleted."""

import asyncio

import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.command import Dth
from tests.servers.ministack import MinistackServer
from transferhub.aws.queue import Posting
from transferhub.state.aws.schema import DEAD, WORK

REGION = ("--region", "us-east-1")


@pytest.fixture
def near(dth: Dth, ministack: MinistackServer) -> Dth:
    """`dth` whose AWS is ministack."""
    aws = Aws(name="none", endpoint=ministack.endpoint)
    return dth.having(ministack.endpoint.secret_access_key, **aws.variables)


def test_a_state_is_created_shown_and_deleted(near: Dth) -> None:
    words = ("--name", "Life_1", *REGION)
    created = near.well("aws", "create-state", *words)
    assert "Life_1-ledger" in created.out
    assert "use it with --ledger aws://Life_1?region=us-east-1" in created.out
    assert near.well("aws", "create-state", *words, "--json").json == {
        "name": "Life_1",
        "ledger": "aws://Life_1?region=us-east-1",
        "created": [],
    }

    shown = near.well("aws", "show-state", *words, "--json").json
    assert {table["status"] for table in shown["tables"]} == {"ACTIVE"}
    assert {queue["waiting"] for queue in shown["queues"]} == {0}
    assert "Life_1-work" in near.well("aws", "show-state", *words).out

    refused = near("aws", "delete-state", *words, given="n\n")
    assert refused.code != 0
    near.well("aws", "show-state", *words)

    gone = near.well("aws", "delete-state", *words, "--yes", "--json").json
    assert {at["name"] for at in gone["deleted"]} == {
        *(table["name"] for table in shown["tables"]),
        *(queue["name"] for queue in shown["queues"]),
    }
    missing = near.well("aws", "show-state", *words, code=3)
    assert "create it with `dth aws create-state`" in missing.err
    assert near.well("aws", "delete-state", *words, "--yes").out == "There is no state Life_1.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--name", "a b", *REGION), "dth: --name: 'a b' is no name of a state"),
        (("--name", "a", "--region", "Ireland"), "dth: --region: 'Ireland' is no region"),
        (("--name", "a"), "dth: --region: is needed: neither AWS_REGION nor the AWS configuration"),
        (
            ("--name", "a", *REGION, "--profile", "oslo"),
            "dth: --profile: the AWS configuration files have no 'oslo'; there are none",
        ),
        (REGION, "dth: --name is missing."),
    ],
)
def test_what_is_typed_wrong_is_named(dth: Dth, words: tuple[str, ...], sentence: str) -> None:
    ended = dth.well("aws", "create-state", *words, code=2)
    assert ended.err.startswith(sentence)


def test_a_policy_names_the_resources_of_the_state(dth: Dth) -> None:
    words = ("--name", "moves", "--role", "finder", "--region", "cn-north-1")
    ended = dth.well("aws", "policy", *words, "--account", "123456789012").json
    resources = {statement["Resource"] for statement in ended["Statement"]}
    assert "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/moves-ledger" in resources
    assert all(resource.startswith("arn:aws-cn:") for resource in resources)
    anywhere = dth.well("aws", "policy", *words).json["Statement"][0]["Resource"]
    assert anywhere == "arn:aws-cn:dynamodb:cn-north-1:*:table/moves-ledger"
    refused = dth.well("aws", "policy", *words, "--account", "12", code=2)
    assert refused.err.startswith("dth: --account: '12' is none; an account is twelve digits")


def test_the_doctor_tells_how_the_state_is(near: Dth, aws: Aws) -> None:
    ended = near.well("doctor", "--ledger", aws.url, "--json")
    found = {finding["name"]: finding for finding in ended.json["findings"]}
    assert found["ledger"]["origin"] == "flag --ledger"
    assert found["state on AWS"]["value"].startswith(f"{aws.name} in us-east-1, answers in ")
    assert found[f"table {aws.name}-ledger"]["value"].startswith("active, ")
    assert found[f"queue {aws.name}-work"]["value"].startswith("0 messages wait")
    assert "disk use" not in found
    assert not (near.state / "dth.sqlite3").exists()


def test_the_doctor_finds_what_does_not_fit(near: Dth, aws: Aws) -> None:
    async def change() -> None:
        async with aws.connection() as connection:
            await (await connection.queue(WORK)).set_attributes({"VisibilityTimeout": "30"})
            await (await connection.queue(DEAD)).send([Posting("not ours")])

    asyncio.run(change())
    ended = near.well("doctor", "--ledger", aws.url, "--json", code=1)
    found = {finding["name"]: finding for finding in ended.json["findings"]}
    assert found["state on AWS"]["value"] == "does not fit"
    assert found["state on AWS"]["advice"] == (
        f"queue {aws.name}-work: its VisibilityTimeout is 30 seconds, not 900"
    )
    assert found["dead-letter queue"]["value"] == "1 messages"
    assert "`dth redrive RUN`" in found["dead-letter queue"]["advice"]


def test_the_doctor_says_what_is_missing(near: Dth) -> None:
    missing = near.well("doctor", "--ledger", "aws://nothing?region=us-east-1", code=1)
    assert "cannot be used" in missing.out
    assert "`dth aws create-state`" in missing.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--ledger", "moves"), "dth: --ledger: 'moves' names no state on AWS; write aws://NAME"),
        (("--ledger", "aws://moves"), "dth: --ledger: names no region for moves"),
        (
            ("--ledger", "aws://moves?region=us-east-1&profile=oslo"),
            "dth: --ledger: the AWS configuration files have no 'oslo'",
        ),
    ],
)
def test_a_ledger_that_is_typed_wrong_changes_nothing(
    dth: Dth, words: tuple[str, ...], sentence: str
) -> None:
    ended = dth.well("transfer", f"file://{dth.folder}", "file:///tmp/none", *words, code=2)
    assert ended.err.startswith(sentence)
    assert not dth.state.exists()


def test_what_is_done_to_a_database_is_refused_where_there_is_none(dth: Dth) -> None:
    aws = dth.having(DTH_LEDGER="aws://moves?region=us-east-1")
    ended = aws.well("database", "upgrade", code=2)
    assert ended.err.startswith("dth: ledger: the state is aws://moves?region=us-east-1, and no")


def test_a_worker_needs_a_state_that_it_can_share(dth: Dth) -> None:
    ended = dth.well("worker", code=2)
    assert "is needed, or --ledger: a worker shares the hub's PostgreSQL" in ended.err
