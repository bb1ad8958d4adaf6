"""Opens the registries of a location, with what the environment says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from transferhub.aws.client import ECR
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError
from transferhub.hosts.aws_services import open_service, service_endpoint
from transferhub.hosts.credentials import ChosenCredentials, Lent, variable
from transferhub.hosts.limits import Limits
from transferhub.hosts.registry_logins import ChosenLogin, Logins
from transferhub.hosts.s3 import proxy_of, refuses_of
from transferhub.plugins.images.ecr import EcrHost
from transferhub.plugins.images.reference import DOCKER_HUB, DOCKER_HUB_SERVER
from transferhub.plugins.images.registry_location import PUBLIC, RegistryLocation
from transferhub.plugins.images.sides import OpenRegistry, OpenSide
from transferhub.registries import (
    EcrLogin,
    EcrRepositories,
    GivenLogin,
    OciRepositories,
    RegistryClient,
    RegistryConfig,
    RepositoryOptions,
    open_ecr,
)
from transferhub.stores.s3.transport import TransportConfig

_PATIENCE = timedelta(minutes=1)
"""Longest with one request, which the image meets again in its next attempt."""

_PATIENCE_WITH_OTHERS = timedelta(seconds=30)
"""With a registry that one image of a public source names: the other images wait for it."""


def with_environment(location: RegistryLocation, env: Mapping[str, str]) -> RegistryLocation:
    """The location with the endpoint of its side's variables, if it is in Amazon ECR and has none
    itself.

    Raises:
        InputError: the variable is wrong.
    """
    name = variable(location, "ENDPOINT")
    if location.scheme != "ecr" or location.endpoint or not env.get(name):
        return location
    try:
        return RegistryLocation.model_validate({**location.model_dump(), "endpoint": env[name]})
    except ValidationError as error:
        sentence = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(name, sentence) from None


def describe_login(
    location: RegistryLocation, env: Mapping[str, str], lent: Lent | None = None
) -> ChosenLogin:
    """Who asks at the location, for `dth doctor` and before a run: `described` and `warnings`.

    Raises:
        InputError: a file or a stored credential cannot be used, or only a part of the variables is
            set.
    """
    return Logins(location, env, lent).described()


def open_side(
    location: RegistryLocation,
    *,
    env: Mapping[str, str],
    tuning: Tuning,
    limits: Limits | None = None,
    lent: Lent | None = None,
    options: RepositoryOptions | None = None,
) -> OpenSide:
    """What opens the registries of a location: its own, or any that an image names where it is
    `public`. Nothing is reached before; Amazon ECR is asked for its host when it is opened.

    Args:
        limits: of this process; by default those of `tuning`. What skopeo carries they do not hold.
        lent: by a hub; None where there is none.
        options: of repositories that are created in Amazon ECR.

    Raises:
        InputError: a file, a stored credential or a variable cannot be used.
    """
    location = with_environment(location, env)
    side = _Side(
        location=location,
        logins=Logins(location, env, lent),
        env=env,
        tuning=tuning,
        limits=limits or Limits(tuning),
        refuses=refuses_of(guarded=lent is not None and lent.guarded),
        options=options or RepositoryOptions(),
    )
    if location.scheme != PUBLIC:
        side.logins.at()
    return side


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """An OpenSide."""

    location: RegistryLocation
    logins: Logins
    env: Mapping[str, str]
    tuning: Tuning
    limits: Limits
    refuses: Callable[[str], bool] | None
    options: RepositoryOptions

    async def __call__(self, host: str) -> OpenRegistry:
        host = host or self.location.host
        chosen = self.logins.at(host)
        if chosen.keys is None:
            return self._registry(host, chosen)
        return await self._ecr(host, chosen.keys)

    def _registry(self, host: str, chosen: ChosenLogin) -> OpenRegistry:
        server = DOCKER_HUB_SERVER if host == DOCKER_HUB else host
        plain = self.location.plain_http
        config = self._config(server, f"{'http' if plain else 'https'}://{server}")
        registry = RegistryClient(config, GivenLogin(chosen.login))
        repositories = OciRepositories(registry, parallel=self._most)
        return OpenRegistry(registry=registry, repositories=repositories, config=config)

    async def _ecr(self, host: str, chosen: ChosenCredentials) -> OpenRegistry:
        location, there = self.location, EcrHost.parse(host) if host else None
        region = there.region if there else location.region
        account = there.account if there and there.account else location.account
        endpoint = location.endpoint or service_endpoint(
            ECR,
            region,
            self.env,
            fips=there is not None and there.fips,
            dual_stack=there is not None and there.dual_stack,
        )
        async with AsyncExitStack() as unopened:
            client = open_service(
                ECR,
                endpoint,
                region=region,
                chosen=chosen,
                transport=self._transport(endpoint),
                patience=self._patience,
            )
            unopened.push_async_callback(client.aclose)
            login = EcrLogin(client, account=account)
            url = f"https://{host}" if host else await self._url_of(login)
            config = self._config("", url)
            registry = await open_ecr(login, config, endpoint=url)
            unopened.pop_all()
        return OpenRegistry(
            registry=registry,
            repositories=EcrRepositories(client, account=account, options=self.options),
            config=replace(config, host=registry.host, plain_http=url.startswith("http://")),
        )

    async def _url_of(self, login: EcrLogin) -> str:
        """As ECR says it. Emulators say Amazon's own hosts and answer where their API is, which
        only plain HTTP tells apart: Amazon speaks none."""
        url = await login.proxy_endpoint()
        emulated = self.location.plain_http and url.startswith("https://")
        return self.location.endpoint or url if emulated else url

    def _config(self, host: str, url: str) -> RegistryConfig:
        return RegistryConfig(
            host=host,
            plain_http=self.location.plain_http,
            requests=self._most,
            rate=self.limits.requests,
            bandwidth=self.limits.bandwidth,
            patience=self._patience,
            transport=self._transport(url),
        )

    @property
    def _patience(self) -> timedelta:
        others = self.location.scheme == PUBLIC
        return min(self.tuning.patience, _PATIENCE_WITH_OTHERS if others else _PATIENCE)

    @property
    def _most(self) -> int:
        """Requests under way at once."""
        return max(self.tuning.concurrency, self.tuning.listers)

    def _transport(self, url: str) -> TransportConfig:
        location = self.location
        return TransportConfig(
            ca_bundle=Path(location.ca_bundle) if location.ca_bundle else None,
            proxy=location.proxy or proxy_of(url, self.env),
            read_timeout=self.tuning.timeout,
            refuses=self.refuses,
        )
