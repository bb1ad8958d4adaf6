"""Reads the list of images that an SSM parameter holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transferhub.aws.client import AwsError, AwsFault, Service
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError, ThrottledError, TransientError
from transferhub.hosts.aws_services import open_service, service_endpoint
from transferhub.hosts.credentials import (
    ChosenCredentials,
    Lent,
    Origin,
    choose_credentials,
)
from transferhub.hosts.s3 import proxy_of, refuses_of, usual_region
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.stores.s3.transport import TransportConfig

SSM = Service("ssm", "AmazonSSM", version="1.1")

_FIELD = "images_parameter"
_ARN_PARTS = 6
_CHAIN = ChosenCredentials(origin=Origin.CHAIN, described="the usual AWS chain")
_ADVICE = {
    AwsFault.DENIED: "grant ssm:GetParameter on it, and kms:Decrypt where it is encrypted",
    AwsFault.UNKNOWN: "check the access key and its secret",
    AwsFault.EXPIRED: "the credentials have expired, or this machine's clock is wrong",
    AwsFault.REFUSED: "check its name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPlace:
    """Who asks for the parameter, and where.

    Attributes:
        region: "" where nothing says it.
    """

    region: str
    chosen: ChosenCredentials


def parameter_place(
    spec: ImagesSpec, env: Mapping[str, str], lent: Lent | None = None
) -> ParameterPlace:
    """That of the side in Amazon ECR; of two, of the one that is reached as this machine itself,
    since lists lie beside whoever works with them, else of the source. Without one, the usual AWS
    chain, which a hub lends to no list.

    An ARN says its region itself.

    Raises:
        InputError: a file or a stored credential cannot be used, or a hub has none to use.
    """
    sides = [at for at in (spec.source, spec.destination) if at.scheme == "ecr"]
    told = _region_of(spec.images_parameter)
    if not sides and lent is not None:
        raise InputError(
            _FIELD,
            "a hub reads it with the credentials of a side in Amazon ECR, and there is none; write"
            " the list into the task, as images",
        )
    if not sides:
        return ParameterPlace(region=told or usual_region(env), chosen=_CHAIN)
    chosen: list[tuple[RegistryLocation, ChosenCredentials]] = [
        (at, choose_credentials(at, env, lent)) for at in sides
    ]
    own = [one for one in chosen if one[1].origin is Origin.CHAIN]
    at, who = (own or chosen)[0]
    return ParameterPlace(region=told or at.region, chosen=who)


def _region_of(name: str) -> str:
    parts = name.split(":", _ARN_PARTS - 1)
    return parts[3] if len(parts) == _ARN_PARTS and parts[0] == "arn" else ""


async def read_parameter(
    spec: ImagesSpec, *, env: Mapping[str, str], tuning: Tuning, lent: Lent | None = None
) -> str:
    """What the parameter of the spec holds now, decrypted.

    Raises:
        InputError: there is no such parameter, it may not be read, or no region is known.
        StoreError: AWS was not reached.
    """
    place = parameter_place(spec, env, lent)
    if not place.region:
        raise InputError(_FIELD, "no region is known: write the parameter's ARN, or set AWS_REGION")
    endpoint = service_endpoint(SSM, place.region, env)
    client = open_service(
        SSM,
        endpoint,
        region=place.region,
        chosen=place.chosen,
        transport=TransportConfig(
            proxy=proxy_of(endpoint, env),
            read_timeout=tuning.timeout,
            refuses=refuses_of(guarded=lent is not None and lent.guarded),
        ),
        patience=tuning.patience,
    )
    name = spec.images_parameter
    try:
        answer = await client.ask("GetParameter", {"Name": name, "WithDecryption": True})
        return str(answer["Parameter"]["Value"])
    except AwsError as error:
        raise _failure(error, name, place) from error
    except (KeyError, TypeError) as error:
        raise TransientError(
            f"Reading the SSM parameter {name} failed: the answer is not what AWS would send; check"
            " the endpoint.",
            code="garbled",
        ) from error
    finally:
        await client.aclose()


def _failure(
    error: AwsError, name: str, place: ParameterPlace
) -> InputError | TransientError | ThrottledError:
    said = f"{error.status or ''} {error.name}: {error.detail}".strip(" :")
    where = f"SSM parameter {name} in {place.region}"
    if error.name.startswith("ParameterNotFound") or error.name == "ParameterVersionNotFound":
        return InputError(
            _FIELD,
            f"there is no {where} for whom it is asked with ({place.chosen.described}); check its"
            " name, its region and the account",
        )
    match error.fault:
        case AwsFault.THROTTLED:
            return ThrottledError(f"Reading the {where} failed ({said}): AWS asks to slow down.")
        case AwsFault.UNREACHABLE:
            return TransientError(
                f"Reading the {where} failed ({said}): check the region and the network.",
                code="unreachable",
            )
        case AwsFault.TRANSIENT:
            return TransientError(f"Reading the {where} failed ({said}): it is tried again.")
        case _:
            advice = _ADVICE.get(error.fault, _ADVICE[AwsFault.REFUSED])
            return InputError(_FIELD, f"the {where} cannot be read ({said}): {advice}")
