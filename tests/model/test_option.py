"""The option ``model``: it changes the bytes, it is named, and it is left out where none is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden import photo
from typer.testing import CliRunner

import guetzpy
from guetzpy import OptimizeOptions, batch
from guetzpy.cli import app
from guetzpy.errors import FormatError
from guetzpy.model.file import Model, built_in
from guetzpy.model.tables import PARAMETERS, SAMPLINGS, TablesPart
from guetzpy.search.coding.learnt import LearntTables
from guetzpy.search.coding.tables import JPEGLI, USUAL

SHAPE = len(SAMPLINGS), len(PARAMETERS)


def tables(**values: float) -> TablesPart:
    at_1 = np.zeros(SHAPE)
    for name, value in values.items():
        at_1[:, PARAMETERS.index(name.replace("_", "."))] = value
    return TablesPart(at_1, np.zeros(SHAPE))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.npz"
    Model.of({"tables": tables(luma_lambda=-0.5, chroma_level=0.3)}, {"name": "mine"}).save(path)
    return path


@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_it_changes_the_bytes_and_is_named(model: Path, effort: str) -> None:
    picture = photo(96, 64)
    usual = guetzpy.optimize(picture, effort=effort)
    found = guetzpy.optimize(picture, effort=effort, model=model)
    assert found.data != usual.data
    assert found.model == Model.load(model).label
    assert usual.model == built_in().label == usual.to_dict()["model"]
    assert guetzpy.optimize(picture, effort=effort, model=Model.load(model)).data == found.data


def test_parameters_of_zero_are_the_usual_tables() -> None:
    family = LearntTables(tables())
    for subsampled in (False, True):
        for distance in (0.1, 0.5, 1.0, 3.0, 20.0):
            for own, usual in zip(
                family.tables(distance, 3, subsampled, USUAL, 7.0),
                JPEGLI.tables(distance, 3, subsampled, USUAL, 7.0),
                strict=True,
            ):
                np.testing.assert_array_equal(own, usual)
            assert family.compensation(distance, subsampled) == JPEGLI.compensation(distance, subsampled)
            for c in range(3):
                assert family.multiplier(distance, c, subsampled) == JPEGLI.multiplier(
                    distance, c, subsampled
                )


def test_options_hold_the_model(model: Path) -> None:
    options = OptimizeOptions(model=model)
    assert isinstance(options.model, Model)
    assert OptimizeOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    in_memory = Model.of({}, {"name": "empty"})
    with pytest.raises(ValueError, match="has no file"):
        OptimizeOptions(model=in_memory).to_dict()
    assert hash(OptimizeOptions(model=in_memory)) != hash(options)


def test_the_hash_of_options(model: Path) -> None:
    """Without a model, the hash is that of versions without the option; with one, its contents count."""
    assert OptimizeOptions().stable_hash() == "622fa2c1e813928b"
    first = OptimizeOptions(model=model).stable_hash()
    assert first not in ("622fa2c1e813928b", OptimizeOptions(model=Model.of({}, {})).stable_hash())
    again = model.with_name("again.npz")
    again.write_bytes(model.read_bytes())
    assert OptimizeOptions(model=again).stable_hash() == first


def test_a_broken_model(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK nonsense")
    with pytest.raises(FormatError, match=r"x\.npz: not a model"):
        OptimizeOptions(model=tmp_path / "x.npz")
    with pytest.raises(FileNotFoundError):
        OptimizeOptions(model=tmp_path / "none.npz")


def test_command_line(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    from PIL import Image

    Image.fromarray(photo(64, 48)).save(picture)
    line = ["optimize", str(picture), "-o", str(tmp_path / "a.jpg"), "--json", "--quiet", "--model"]
    done = CliRunner().invoke(app, [*line, str(model)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == Model.load(model).label
    for name, words in (("none.npz", "No such file"), ("a.png", "not a model of guetzpy")):
        done = CliRunner().invoke(app, [*line, str(tmp_path / name)])
        assert done.exit_code == 2
        assert words in done.stderr


def test_workers_get_it(model: Path, tmp_path: Path) -> None:
    """Workers get the model even if its file is gone when the work begins, as on another machine."""
    from PIL import Image

    picture = photo(64, 48)
    for name in ("a", "b"):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    options = OptimizeOptions(model=model, effort="fast")
    model.unlink()
    results = list(batch.run([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "out", options, jobs=2))
    assert [result.model for result in results] == [options.model.label] * 2  # type: ignore[union-attr]
    wanted = guetzpy.optimize(tmp_path / "a.png", options)
    assert (tmp_path / "out" / "a.jpg").read_bytes() == wanted.data
