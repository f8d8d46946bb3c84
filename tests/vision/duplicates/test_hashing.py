"""Picture hashes and near duplicates: planted copies are found, other pictures are not."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from picture_makers import chunk, draw_scene, make_deep_png, make_exif, save
from PIL import Image, ImageOps

from kerasft.vision.duplicates.hashing import PictureHash, compute_hash, decode_on_white, stack_hashes
from kerasft.vision.duplicates.similar import MAX_CANDIDATES, find_similar
from kerasft.vision.files.reading import check_picture

SCENES = 300


def hash_image(image: Image.Image, kind: str = "JPEG", **options) -> PictureHash:
    return compute_hash(check_picture(save(image, kind, **options), "a"))


@pytest.fixture(scope="module")
def scenes() -> list[PictureHash]:
    return [hash_image(draw_scene(i), quality=90) for i in range(SCENES)]


def resize(image: Image.Image, seed: int) -> PictureHash:
    factor = np.random.default_rng(seed).uniform(0.4, 1.6)
    return hash_image(image.resize((int(image.width * factor), int(image.height * factor))))


def recompress(image: Image.Image, seed: int) -> PictureHash:
    return hash_image(image, quality=30 + seed % 61)


def mirror(image: Image.Image, seed: int) -> PictureHash:
    return hash_image(ImageOps.mirror(image))


def crop(image: Image.Image, seed: int) -> PictureHash:
    left, top = np.random.default_rng(seed).uniform(0, 0.05, 2)
    width, height = image.size
    return hash_image(
        image.crop(
            (
                round(width * left),
                round(height * top),
                round(width * (left + 0.95)),
                round(height * (top + 0.95)),
            )
        )
    )


def turn_grey(image: Image.Image, seed: int) -> PictureHash:
    return hash_image(image.convert("L"))


def mirror_and_crop(image: Image.Image, seed: int) -> PictureHash:
    return crop(ImageOps.mirror(image), seed)


COPIES = [resize, recompress, mirror, crop, turn_grey, mirror_and_crop]


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_planted_copies_are_found_in_another_split(
    copy: Callable[[Image.Image, int], PictureHash], scenes: list[PictureHash]
):
    planted = [copy(draw_scene(i), i) for i in range(0, SCENES, 3)]
    hashes = stack_hashes([*scenes, *planted])
    pairs = find_similar(hashes, boundaries=[0, SCENES, SCENES + len(planted)])
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    wanted = {(3 * i, SCENES + i) for i in range(len(planted))}
    assert len(planted) == 100
    assert len(found & wanted) >= 90
    assert found <= wanted
    assert pairs.similarity.dtype == np.float32
    assert ((pairs.similarity >= 0.9) & (pairs.similarity <= 1)).all()


def test_different_pictures_are_not_alike(scenes: list[PictureHash]):
    assert len(find_similar(stack_hashes(scenes)).first) == 0


def test_flat_pictures_are_in_no_pair():
    flat = [hash_image(Image.new("RGB", (40, 40), (i, i, i))) for i in (0, 0, 50, 255)]
    assert len(find_similar(stack_hashes(flat)).first) == 0


def test_pictures_that_differ_in_colour_only_are_not_alike():
    scene = draw_scene(1)
    red, green, blue = scene.split()
    pair = stack_hashes([hash_image(scene), hash_image(Image.merge("RGB", (blue, green, red)))])
    assert len(find_similar(pair).first) == 0


def test_the_order_does_not_matter(scenes: list[PictureHash]):
    hashes = [*scenes[:60], *[copy(draw_scene(i), i) for i in range(20) for copy in COPIES]]
    pairs = find_similar(stack_hashes(hashes))
    order = np.random.default_rng(0).permutation(len(hashes))
    shuffled = find_similar(stack_hashes([hashes[i] for i in order]))

    def tell(first: np.ndarray, second: np.ndarray) -> set[tuple[int, int]]:
        return {(min(a, b), max(a, b)) for a, b in zip(first.tolist(), second.tolist(), strict=True)}

    assert len(pairs.first) > 100
    assert tell(pairs.first, pairs.second) == tell(order[shuffled.first], order[shuffled.second])
    assert np.allclose(np.sort(pairs.similarity), np.sort(shuffled.similarity), atol=1e-5)


def test_only_the_rows_asked_for_are_compared():
    hashes = stack_hashes([hash_image(draw_scene(i)) for i in (1, 2, 1, 1)])
    assert list(find_similar(hashes).first) == [0, 0, 2]
    pairs = find_similar(hashes, rows=np.array([1, 2, 3]))
    assert [(pairs.first[0], pairs.second[0])] == [(2, 3)]


def test_a_crowd_of_copies_hides_none_in_an_earlier_split():
    crowd = 5 * MAX_CANDIDATES
    hashes = stack_hashes([hash_image(draw_scene(1), quality=80), *[hash_image(draw_scene(1))] * crowd])
    pairs = find_similar(hashes, boundaries=[0, 1, crowd + 1])
    assert (pairs.first == 0).sum() == crowd
    assert len(pairs.first) <= crowd * (1 + MAX_CANDIDATES)


def test_nothing_and_one_have_no_pairs():
    assert len(find_similar(stack_hashes([])).first) == 0
    assert len(find_similar(stack_hashes([hash_image(draw_scene(1))])).first) == 0


def test_a_picture_saved_anew_without_loss_has_the_same_digest():
    scene = draw_scene(1)
    first = hash_image(scene, "PNG")
    same = [
        hash_image(scene, "PNG", compress_level=1),
        hash_image(scene, "BMP"),
        hash_image(scene, "WEBP", lossless=True),
        hash_image(scene.convert("RGBA"), "PNG"),
        compute_hash(check_picture(make_deep_png(scene), "a")),
    ]
    assert {one.digest for one in same} == {first.digest}
    assert hash_image(scene, "JPEG").digest != first.digest
    assert hash_image(ImageOps.mirror(scene), "PNG").digest != first.digest
    assert stack_hashes([first]).keys[0] == int.from_bytes(first.digest[:8], "big")


def test_a_digest_tells_the_size_too():
    assert (
        hash_image(Image.new("L", (16, 64)), "PNG").digest
        != hash_image(Image.new("L", (64, 16)), "PNG").digest
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_hashed_as_it_stands_upright(orientation: int):
    data = save(draw_scene(1), "JPEG", exif=make_exif(orientation))
    picture = check_picture(data, "a.jpg")
    image = decode_on_white(picture)
    assert image.size == (picture.width, picture.height)
    path = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(image), np.asarray(ImageOps.exif_transpose(path)))


def test_what_is_transparent_is_white():
    image = draw_scene(1).convert("RGBA")
    image.putalpha(0)
    assert np.asarray(decode_on_white(check_picture(save(image, "PNG"), "a"))).min() == 255


def test_texts_that_pillow_stumbles_over_do_not_stop_the_hash():
    png = save(draw_scene(1), "PNG")
    odd = png[:33] + chunk(b"iTXt", b"\0") + chunk(b"pHYs", b"1") + png[33:]
    assert compute_hash(check_picture(odd, "a.png")).digest == hash_image(draw_scene(1), "PNG").digest


MEASURE = """
import resource, sys
import numpy as np
from kerasft.vision.duplicates.hashing import PictureHashes
from kerasft.vision.duplicates.similar import find_similar
count = int(sys.argv[1])
random = np.random.default_rng(0)
greys = random.integers(0, 256, (count, 8, 8), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
greys[count // 2 : count // 2 + 500] = greys[:500]
colours = np.full((count, 8, 8, 2), 128, np.uint8)
hashes = PictureHashes(np.arange(count, dtype=np.uint64), greys, colours)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pairs = find_similar(hashes)
print(len(pairs.first), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_many_pictures_take_little_memory():
    done = subprocess.run([sys.executable, "-c", MEASURE, "20000"], capture_output=True, check=True)
    pairs, kilobytes = map(int, done.stdout.split())
    assert pairs == 500
    assert kilobytes / (1 if sys.platform == "linux" else 1024) < 200_000
