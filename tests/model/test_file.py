"""Model files: written files are read back, and other files are refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError
from guetzpy.model import file as model_file
from guetzpy.model.file import Model, built_in
from guetzpy.model.tables import PARAMETERS, SAMPLINGS, TablesPart

SHAPE = len(SAMPLINGS), len(PARAMETERS)


def some_model(value: float = 0.1, **about: Any) -> Model:
    return Model.of({"tables": TablesPart(np.full(SHAPE, value), np.zeros(SHAPE))}, {"name": "some", **about})


def file_of(**members: Any) -> bytes:
    """Return a file of arrays, and of bytes that are stored as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in {"about": np.array(b"{}"), "format": np.array(1, "<i8"), **members}.items():
            content = io.BytesIO()
            if isinstance(value, bytes):
                content.write(value)
            elif value is not None:
                np.lib.format.write_array(content, np.asarray(value), version=(1, 0))
            if value is not None:
                archive.writestr(f"{name}.npy", content.getvalue())
    return stream.getvalue()


@settings(deadline=None)
@given(
    at_1=st.lists(st.floats(-3, 3), min_size=24, max_size=24),
    name=st.text(max_size=20),
    seed=st.integers(0, 2**32),
)
def test_round_trip(at_1: list[float], name: str, seed: int) -> None:
    values = np.array(at_1).reshape(SHAPE)
    made = Model.of({"tables": TablesPart(values, -values)}, {"name": name, "seed": seed})
    again = Model.from_bytes(made.data)
    assert again == made
    assert again.tables is not None
    np.testing.assert_array_equal(again.tables.at_1, values)
    assert again.about == {"name": name, "seed": seed}
    assert Model.of(again.parts, again.about).data == made.data


def test_path_digest_and_pickle(tmp_path: Path) -> None:
    made = some_model()
    made.save(tmp_path / "a.npz")
    found = Model.load(tmp_path / "a.npz")
    assert found == made
    assert hash(found) == hash(made)
    assert found != some_model(0.2)
    assert found.path == str(tmp_path / "a.npz")
    assert found.label == f"some@{found.digest[:12]}"
    assert repr(found) == f"Model({found.label})"
    assert pickle.loads(pickle.dumps(found)) == found
    assert pickle.loads(pickle.dumps(found)).path == found.path


def test_numpy_reads_it(tmp_path: Path) -> None:
    some_model(0.25).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert json.loads(arrays["about"].item())["name"] == "some"
        assert arrays["tables/at_1"][0, 0] == 0.25


def test_the_built_in_model_is_one() -> None:
    assert built_in().label.startswith("built-in@")
    assert Model.of(built_in().parts, built_in().about) == built_in()


PICKLED = io.BytesIO()
np.lib.format.write_array(PICKLED, np.array([{"a": 1}], object), version=(1, 0), allow_pickle=True)
NEWER = io.BytesIO()
np.lib.format.write_array(NEWER, np.zeros(SHAPE), version=(2, 0))
HUGE = b"\x93NUMPY\x01\x00" + b"v\x00" + (
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
)  # fmt: skip
TABLES: dict[str, Any] = {"tables/at_1": np.zeros(SHAPE), "tables/by_log_distance": np.zeros(SHAPE)}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"about": None}, "no format or no description"),
        ({"format": None}, "no format or no description"),
        ({"about": np.array(b"[1]")}, "no JSON object"),
        ({"about": np.array(b"{")}, "no JSON object"),
        ({"other/a": np.zeros(3)}, "unknown part other"),
        ({"tables/at_1": np.zeros(SHAPE)}, "tables/by_log_distance is missing"),
        ({**TABLES, "tables/more": np.zeros(3)}, "unknown array tables/more"),
        ({**TABLES, "tables/at_1": np.zeros(SHAPE, np.float32)}, "dtype float32"),
        ({**TABLES, "tables/at_1": np.zeros(5)}, "shape"),
        ({**TABLES, "tables/at_1": np.full(SHAPE, np.nan)}, "between -3 and 3"),
        ({**TABLES, "tables/at_1": np.full(SHAPE, 1e9)}, "between -3 and 3"),
        ({**TABLES, "tables/at_1": PICKLED.getvalue()}, "damaged: tables/at_1.npy"),
        ({**TABLES, "tables/at_1": HUGE}, "damaged: tables/at_1.npy"),
        ({**TABLES, "tables/at_1": NEWER.getvalue()}, "not an array of version 1.0"),
        ({**TABLES, "tables/at_1": b"nonsense"}, "damaged: tables/at_1.npy"),
        ({**TABLES, "tables/at_1": b""}, "damaged: tables/at_1.npy"),
    ],
)
def test_other_files_are_refused(members: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        Model.from_bytes(file_of(**members), "x.npz")


def test_newer_and_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match="format 2") as caught:
        Model.from_bytes(file_of(format=np.array(2)), "new.npz")
    assert str(caught.value).startswith("new.npz: ")
    (tmp_path / "big.npz").write_bytes(bytes(model_file.MAX_BYTES + 1))
    with pytest.raises(LimitError, match="limit for a model"):
        Model.load(tmp_path / "big.npz")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tables/at_1.npy", bytes(model_file.MAX_BYTES + 1))
    assert len(bomb.getvalue()) < 100_000
    with pytest.raises(LimitError, match="bytes of arrays"):
        Model.from_bytes(bomb.getvalue())


@settings(deadline=None)
@given(data=st.data())
def test_damage_is_a_clear_error(data: st.DataObject) -> None:
    """A changed byte gives an error of guetzpy, or a model with valid parts."""
    whole = bytearray(some_model().data)
    where = data.draw(st.integers(0, len(whole) - 1))
    whole[where] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([bytes(whole), bytes(whole[:where]), bytes(whole[where:])]))
    try:
        found = Model.from_bytes(cut)
    except GuetzpyError:
        return
    assert found.tables is None or np.isfinite(found.tables.at_1).all()
