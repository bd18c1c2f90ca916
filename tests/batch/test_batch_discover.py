"""Discovery of pictures, names of outputs, and arguments that are refused before the run."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from guetzpy.batch.discover import Discovery, Filter, Task, discover, in_shard, jpeg_name, kind_of, pair

JPEG = b"\xff\xd8\xff\xe0" + bytes(30)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


def tree(root: Path, **files: bytes) -> Path:
    for name, data in files.items():
        put(root, name.replace("__", "/").replace("_", "."), data)
    return root


def put(root: Path, relative: str, data: bytes = JPEG) -> Path:
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def relatives(found: Discovery) -> list[str]:
    return [task.relative for task in found.pictures]


def test_contents_decide_not_the_name(tmp_path: Path) -> None:
    tree(tmp_path, a_JPG=JPEG, b_txt=JPEG, noext=JPEG, c_png=PNG, d_dat=b"words and more words", e_jpg=b"")
    put(tmp_path, "sub/deep/F.JPEG")
    found = discover([str(tmp_path)])
    kinds = {task.relative: task.kind for task in found.pictures}
    assert kinds == {
        "a.JPG": "jpeg", "b.txt": "jpeg", "noext": "jpeg", "c.png": "picture", "sub/deep/F.JPEG": "jpeg",
        "e.jpg": "unknown",  # a picture by its name only: its error is reported
    }  # fmt: skip
    assert [(other.relative, other.reason) for other in found.others] == [("d.dat", "not a picture")]
    only = discover([str(tmp_path)], jpeg_only=True)
    assert "c.png" not in relatives(only)
    assert ("c.png", "not a JPEG") in [(other.relative, other.reason) for other in only.others]


def test_hidden_files_and_own_temporaries_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    for name in (".b.jpg", "._a.jpg", ".thumbs/c.jpg", ".guetzpy-0123456789abcdef.tmp", ".guetzpy.sqlite"):
        put(tmp_path, name)
    found = discover([str(tmp_path)])
    assert relatives(found) == ["a.jpg"]
    assert found.others == []


def test_links_in_circles_end(tmp_path: Path) -> None:
    put(tmp_path, "photos/a/1.jpg")
    put(tmp_path, "outside/2.jpg")
    (tmp_path / "photos/a/up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/a/self").symlink_to(".")
    (tmp_path / "photos/b").symlink_to(tmp_path / "outside")
    (tmp_path / "outside/back").symlink_to(tmp_path / "photos/b")
    (tmp_path / "photos/dead.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "photos/link.jpg").symlink_to("a/1.jpg")
    found = discover([str(tmp_path / "photos")])
    assert relatives(found) == ["link.jpg", "a/1.jpg", "b/2.jpg"]
    assert [other.reason for other in found.others] == ["a link to nothing"]
    once = pair(found, None, in_place=True)
    assert len(once) == 2  # the link and its file are one picture


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder_is_told(tmp_path: Path) -> None:
    put(tmp_path, "shut/a.jpg")
    (tmp_path / "shut").chmod(0)
    try:
        found = discover([str(tmp_path)])
    finally:
        (tmp_path / "shut").chmod(0o755)
    assert [other.reason for other in found.unreadable] == ["Permission denied"]


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it for reading would block
    found = discover([str(tmp_path)])
    assert [other.reason for other in found.others] == ["not a regular file"]


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (Filter(include=("*.JPG",)), ["a.jpg", "x/b.jpg", "x/y/c.jpg"]),
        (Filter(include=("x/*",)), ["x/b.jpg", "x/d.png", "x/y/c.jpg"]),
        (Filter(exclude=("y",)), ["a.jpg", "x/b.jpg", "x/d.png"]),
        (Filter(exclude=("x/y/",)), ["a.jpg", "x/b.jpg", "x/d.png"]),
        (Filter(exclude=("./x/y",)), ["a.jpg", "x/b.jpg", "x/d.png"]),
        (Filter(exclude=("./y", "./x/b.jpg")), ["a.jpg", "x/d.png", "x/y/c.jpg"]),
        (Filter(exclude=("**/x",)), ["a.jpg"]),
        (Filter(include=("**/*.jpg",)), ["a.jpg", "x/b.jpg", "x/y/c.jpg"]),
        (Filter(include=("*.jpg",), exclude=("b.*",)), ["a.jpg", "x/y/c.jpg"]),
    ],
)
def test_globs(tmp_path: Path, chosen: Filter, wanted: list[str]) -> None:
    for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg"):
        put(tmp_path, name)
    put(tmp_path, "x/d.png", PNG)
    assert sorted(relatives(discover([str(tmp_path)], chosen))) == wanted


def test_one_folder_is_mirrored_without_its_name_several_with_it(tmp_path: Path) -> None:
    put(tmp_path, "in1/a.jpg")
    put(tmp_path, "in2/a.jpg")
    file = put(tmp_path, "b.jpg")
    one, two = str(tmp_path / "in1"), f"{tmp_path}/in2/"
    assert relatives(discover([one])) == ["a.jpg"]
    assert relatives(discover([one, two])) == ["in1/a.jpg", "in2/a.jpg"]
    assert relatives(discover([one, str(file)])) == ["in1/a.jpg", "b.jpg"]


def test_output_folder_within_the_input_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    put(tmp_path, "out/a.jpg")
    assert relatives(discover([str(tmp_path)], skip=[str(tmp_path / "out")])) == ["a.jpg"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a/b.png", "a/b.jpg"), ("b.JPG", "b.JPG"), ("b.jpeg", "b.jpeg"), ("b.TIFF", "b.jpg"),
        ("b.mpo", "b.mpo"), ("b.MPO", "b.MPO"), ("b.jps", "b.jps"), ("b.jfif", "b.jfif"),
        ("scan.2024", "scan.2024.jpg"), ("noext", "noext.jpg"), ("a.b/c", "a.b/c.jpg"),
    ],
)  # fmt: skip
def test_names(name: str, wanted: str) -> None:
    assert jpeg_name(name) == wanted


@pytest.mark.parametrize("names", [("a.png", "a.jpg"), ("x/a.tif", "x/a.webp"), ("a", "a.jpg")])
def test_two_for_one_place_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        put(tmp_path / "in", name, PNG)
    with pytest.raises(ValueError, match="would both be written to"):
        pair(discover([str(tmp_path / "in")]), str(tmp_path / "out"))


def test_same_names_of_two_folders_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "1/photos/a.jpg")
    put(tmp_path, "2/photos/a.jpg")
    found = discover([str(tmp_path / "1/photos"), str(tmp_path / "2/photos")])
    with pytest.raises(ValueError, match="would both be written to"):
        pair(found, str(tmp_path / "out"))


def test_output_over_an_input_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "in/in/a.jpg")
    file = put(tmp_path, "in/a.jpg")
    with pytest.raises(ValueError, match="is an input and an output"):
        pair(discover([str(file)]), str(tmp_path / "in"))
    found = discover([str(tmp_path / "in/in")])
    assert [task.output for task in pair(found, str(tmp_path / "out"))] == [str(tmp_path / "out/a.jpg")]


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        discover([str(tmp_path / "nowhere")])


@given(st.text(min_size=1), st.integers(1, 50))
def test_every_file_is_in_one_shard(relative: str, count: int) -> None:
    assert sum(in_shard(relative, (k, count)) for k in range(1, count + 1)) == 1


def test_shards_stay_the_same() -> None:
    """The parts of a set must not change, since they may be run at different times on different machines."""
    assert [k for k in range(1, 17) if in_shard("2024/a.jpg", (k, 16))] == [
        1 + int.from_bytes(bytes.fromhex(SHA_OF_2024_A), "big") % 16
    ]


# The first 8 bytes of: printf 2024/a.jpg | sha256sum
SHA_OF_2024_A = "451dc7aa074ad297"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF"])
def test_what_pillow_writes_is_a_picture(kind: str) -> None:
    if (kind == "AVIF" and not features.check("avif")) or (
        kind == "JPEG2000" and not features.check("jpg_2000")
    ):
        pytest.skip("Pillow is without it")
    stream = io.BytesIO()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(stream, kind)
    assert kind_of(stream.getvalue()[:16]) == ("jpeg" if kind == "JPEG" else "picture")


@given(st.binary(max_size=16))
def test_any_bytes_have_a_kind(head: bytes) -> None:
    assert kind_of(head) in ("jpeg", "picture", None)


def test_a_task_goes_where_it_should() -> None:
    found = Discovery([Task("in/x/a.png", "x/a.png", "picture", 1, "1:1")])
    (task,) = pair(found, "s3://bucket/out")
    assert (task.output, task.copy) == ("s3://bucket/out/x/a.jpg", "s3://bucket/out/x/a.png")
