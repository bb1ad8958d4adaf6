import pytest

from tests.servers.process import free_ports


@pytest.fixture
def unused_port() -> int:
    [port] = free_ports(1)
    return port
