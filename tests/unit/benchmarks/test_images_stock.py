"""The images of the benchmarks."""

from benchmarks.images.stock import blobs_of, layer, layered, manifests_of, tagged
from tests.servers.oci_images import OCI_INDEX


def test_tags_are_spread_over_forty_repositories_and_two_in_five_are_indexes() -> None:
    stock = tagged(400)
    assert len(stock) == 40
    assert {len(tags) for tags in stock.values()} == {10}
    made = [*manifests_of(stock)]
    assert sum(manifest.media_type == OCI_INDEX for manifest in made) == 160
    assert len({manifest.digest for manifest in made}) == 400


def test_images_share_the_layers_of_their_base_and_nothing_else() -> None:
    images = [*manifests_of(layered(10, 1024))]
    layers = [{blob.digest for blob in image.blobs[1:]} for image in images]
    assert len(layers[0] & layers[5]) == 4
    assert not layers[0] & layers[1]
    # 5 bases of 4 layers; a configuration and a layer of each image.
    assert len(blobs_of(layered(10, 1024))) == 5 * 4 + 10 * 2


def test_the_same_seed_makes_the_same_layer() -> None:
    assert layer("a", 4096).digest == layer("a", 4096).digest != layer("b", 4096).digest
