import pytest

from transferhub.model.people import ApiToken, Role, Sealed, User, masked


def test_each_role_covers_those_before_it() -> None:
    covered = {role: [other for other in Role if role.covers(other)] for role in Role}
    assert covered == {
        Role.VIEWER: [Role.VIEWER],
        Role.OPERATOR: [Role.VIEWER, Role.OPERATOR],
        Role.ADMIN: [Role.VIEWER, Role.OPERATOR, Role.ADMIN],
    }
    assert Role.ADMIN.within(Role.VIEWER) is Role.VIEWER
    assert Role.VIEWER.within(Role.ADMIN) is Role.VIEWER


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"secretAccessKey": "s3cr3t", "size": 1}, {"secretAccessKey": "***", "size": 1}),
        ({"of": [{"session_token": "s3cr3t"}]}, {"of": [{"session_token": "***"}]}),
        ({"password": {"new": "s3cr3t"}}, {"password": "***"}),
        ({"token": "", "private": None}, {"token": "", "private": None}),
        ("postgresql://me:s3cr3t@host/x", "postgresql://***@host/x"),
        ("see http://u:s3@cr3t@h and http://h/a@b", "see http://***@h and http://h/a@b"),
        ("https://host/?n=1&X-Amz-Signature=s3cr3t", "https://host/?n=1&X-Amz-Signature=***"),
        ({"smtp": {"url": "smtp://u:s3cr3t@h"}}, {"smtp": {"url": "smtp://***@h"}}),
        ({"webhookUrl": "https://hooks/s3cr3t"}, {"webhookUrl": "***"}),
        ("s3://bucket/name@host/?a=b", "s3://bucket/name@host/?a=b"),
        ([1, None, True, 0.5], [1, None, True, 0.5]),
    ],
)
def test_secrets_are_masked_wherever_they_stand(value: object, shown: object) -> None:
    assert masked(value) == shown


def test_no_secret_is_in_what_values_say_of_themselves() -> None:
    for kind, name in ((User, "password"), (ApiToken, "digest"), (Sealed, "box")):
        assert kind.__dataclass_fields__[name].repr is False
