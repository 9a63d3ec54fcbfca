"""`emghand report` and `emghand plot` on a session."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from pytest import approx
from result_maker import make, make_ticks

from emghand.cli.main import main
from emghand.dofs import Dof
from emghand.evaluate.ticks import SIGNALS
from emghand.report.files import write_report
from emghand.report.html import Section, Table, page, shown
from emghand.report.parts import tracking_columns
from emghand.report.score_figures import title_of
from emghand.report.sources import Material, gather
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.models import load_model
from emghand.storage.sessions import Session
from emghand.tasks.movements import Movement, MovementSet, Schedule

KINDS = ("tracking", "scores", "movements", "files", "unintended", "signal")


class Tables(HTMLParser):
    """Tables of a report by their key: numbers in full precision by row and heading."""

    def __init__(self, text):
        super().__init__()
        self.found, self.tags = {}, []
        self._rows, self._row, self._text, self._scope, self._heads = {}, {}, "", None, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag == "table":
            self._rows = self.found.setdefault(attrs.get("data-key", ""), {})
            self._heads = []
        elif tag == "th":
            self._scope, self._text = attrs["scope"], ""
        elif tag == "td" and "data-value" in attrs:
            value = attrs["data-value"]
            self._row[self._heads[len(self._row) + 1]] = float(value) if value else None

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        if tag == "th" and self._scope == "row":
            self._row = self._rows.setdefault(self._text, {})
        elif tag == "th":
            self._heads.append(self._text)


@pytest.fixture(scope="module")
def report(session, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "report.html"
    figures = path.parent / "figures"
    argv = ["report", str(session.path), "--output", str(path), "--figures", str(figures)]
    assert main(argv) == 0
    return path


def scores_in(document):
    """The scores by signal, wherever in the JSON they stand."""
    if isinstance(document, dict):
        if "out_x_hat_compensated" in document:
            return document
        document = list(document.values())
    for item in document if isinstance(document, list) else ():
        if (found := scores_in(item)) is not None:
            return found
    return None


@pytest.mark.parametrize("kind", ["kalman", "ridge"])
def test_numbers_are_those_of_evaluate_to_the_last_bit(session, report, capsys, kind):
    model = session.path / "models" / f"{kind}.emgmodel"
    assert main(["evaluate", str(model), str(session.path), "--json"]) == 0
    scores = scores_in(json.loads(capsys.readouterr().out))
    tables = Tables(report.read_text()).found
    compared = 0
    for signal in SIGNALS:
        table = tables[f"scores/{kind}/{signal}"]
        for metric, by_dof in scores[signal].items():
            for dof, value in by_dof.items():
                assert table[dof][title_of(metric)] == value
                compared += 1
    assert compared == 4 * 2 * 6


def mean_of(by_dof):
    known = [v for v in by_dof.values() if v is not None]
    return math.fsum(known) / len(known) if known else None


def test_tables_of_parts_and_means_are_of_the_numbers_of_evaluate(session, report, capsys):
    model = session.path / "models" / "kalman.emgmodel"
    assert main(["evaluate", str(model), str(session.path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    tables = Tables(report.read_text()).found
    per_dof = tables["movement per DOF/kalman/out_x_hat"]
    means = tables["movement/kalman/out_x_hat"]
    compared = 0
    for row in document["tables"]["movement"]:
        for metric, by_dof in row["scores"]["out_x_hat"].items():
            for dof, value in by_dof.items():
                assert per_dof[f"{row['name']} · {dof}"][title_of(metric)] == value
                compared += 1
            if metric not in ("r2", "correlation"):
                assert means[row["name"]][title_of(metric)] == approx(mean_of(by_dof))
        assert means[row["name"]]["ticks"] == row["ticks"]
    assert compared == len(per_dof) * 6 > 0
    for signal in SIGNALS:
        for metric, by_dof in document[signal].items():
            shown = tables[f"scores/kalman/{signal}"]["mean"][title_of(metric)]
            assert shown == approx(mean_of(by_dof))
    assert tables["summary"]["kalman"] == {
        "R² of x_hat, lag out": approx(mean_of(document["x_hat_compensated"]["r2"])),
        "R² of x_hat": approx(mean_of(document["x_hat"]["r2"])),
        "R² of out_x_hat": approx(mean_of(document["out_x_hat"]["r2"])),
        "RMSE of out_x_hat": approx(mean_of(document["out_x_hat"]["rmse"])),
        "unintended movement": approx(mean_of(document["out_x_hat"]["unintended"])),
        "lag [ms]": approx(1e3 * document["lag_s"]),
        "ticks scored": document["ticks"],
    }


def test_report_of_an_hour_is_as_small_as_one_of_minutes(tmp_path):
    sizes = []
    for minutes in (5, 60):
        result = replace(make(), ticks=make_ticks(trials=minutes, length=3750))
        (path,) = write_report(Material(results={"a": result}), tmp_path / f"{minutes}.html")
        sizes.append(path.stat().st_size)
    assert max(sizes) < 1_000_000
    assert sizes[1] < 1.2 * sizes[0]


def test_nothing_is_replaced_unasked_and_nothing_is_half_written(tmp_path, capsys):
    result = tmp_path / "a.json"
    make().save(result)
    out, figures = tmp_path / "out.html", tmp_path / "figures"
    argv = ["report", str(result), "--output", str(out), "--formats", "svg"]
    out.write_text("mine")
    assert main(argv) == 1
    assert "out.html: exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"
    out.unlink()
    figures.mkdir()
    (figures / "scores.svg").write_text("mine")
    assert main([*argv, "--figures", str(figures)]) == 1
    assert "scores.svg: exists already" in capsys.readouterr().err
    assert not out.exists()
    assert main([*argv, "--figures", str(figures), "--replace"]) == 0
    assert (figures / "scores.svg").read_text().startswith("<?xml")
    assert "</html>" in out.read_text()


def test_report_stands_alone(report):
    text = report.read_text()
    parsed = Tables(text)
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "iframe", "object", "base", "form"}
    assert "http://" not in text
    assert "https://" not in text
    for tag, attrs in parsed.tags:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href"):
                assert value.startswith(("data:image/png;base64,", "#"))
            if name == "id":
                assert value
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(ids) == len(set(ids)), "ids of the figures do not clash"
    wanted = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    assert wanted <= set(ids), "every reference within a figure finds its target"
    assert "@import" not in text


def test_every_figure_has_a_text_and_a_caption_and_files(report):
    text = report.read_text()
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert len(figures) >= 5
    for figure in figures:
        assert re.search(r'(aria-label|alt)="[^"]{20,}"', figure)
        assert "<figcaption><b>Figure" in figure
    files = sorted(p.name for p in (report.parent / "figures").iterdir())
    assert len(files) == 3 * len(figures)
    assert {"scores.pdf", "scores.png", "scores.svg", "tracking_test.svg"} <= set(files)


def test_text_stays_text_and_fonts_are_embedded(report):
    folder = report.parent / "figures"
    svg = (folder / "scores.svg").read_text()
    assert ">thumb flex<" in svg or ">index flex<" in svg
    pdf = (folder / "scores.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_same_data_give_the_same_bytes(session, report, tmp_path):
    again = tmp_path / "again.html"
    assert main(["report", str(session.path), "--output", str(again)]) == 0
    assert again.read_bytes() == report.read_bytes()
    for name in ("scores.svg", "scores.pdf", "scores.png", "unintended.svg"):
        argv = ["plot", name.split(".")[0], str(session.path), "--output", str(tmp_path / name)]
        assert main(argv) == 0
        drawn = (report.parent / "figures" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == drawn, "the figure of the report"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(session, tmp_path, kind, capsys):
    path = tmp_path / f"{kind}.svg"
    argv = ["plot", kind, str(session.path), "--signal", "x_hat", "--output", str(path)]
    assert main(argv) == 0
    assert path.read_bytes().startswith(b"<?xml")
    assert f"wrote {path}" in capsys.readouterr().out


def test_lines_of_models_with_other_windows_lie_at_their_own_time():
    """A longer window begins later: its line must not be moved to the left for that."""
    short = make(name="short")
    late = short.ticks.rows(np.arange(len(short.ticks)) >= 9)
    gap = np.abs(np.arange(len(late)) - 100) > 5
    late = late.rows(gap)
    stamps = late.stamps_ns + 3_000_000
    late = replace(late, x_hat=late.x_d.copy(), stamps_ns=stamps)
    long = replace(short, name="long", ticks=late)
    (column,) = tracking_columns(Material(results={"short": short, "long": long}), "x_hat")
    drawn = column.lines["long"]
    missing = np.isnan(drawn).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(missing), [*range(9), *range(104, 115)])
    np.testing.assert_array_equal(drawn[~missing], column.x_d[~missing])


def test_latency_is_drawn_from_a_live_run(timed_bag, tmp_path):
    from emghand.report.figures import save_figure
    from emghand.report.latency import latency_figure, read_latency

    path = tmp_path / "latency.pdf"
    save_figure(latency_figure([read_latency(timed_bag)]), path)
    assert path.read_bytes().startswith(b"%PDF")


def hostile():
    name = '<script>alert("1")</script> $x^{$ & _'
    movements = (Movement(name, {"index_flex": 1.0}, 0.3, 0.4, 0.3),)
    chosen = MovementSet("m", (Dof("index_flex"), Dof("wrist_flex")), movements, rest=0.4)
    return simulate_recording(Schedule(chosen, 3), SyntheticSettings(seed=3, n_channels=12))


def test_names_of_others_are_escaped_and_are_no_formulas(session, tmp_path):
    from pathlib import Path

    from emghand.evaluate.offline import evaluate_model

    name = '<img src=x onerror="alert(1)">&$a_{$'
    model = load_model(session.path / "models" / "ridge.emgmodel")
    recording = replace(hostile(), source=name)
    material = Material(
        results={name: evaluate_model(model, [recording], name=name)},
        models={name: model},
        recordings={name: recording},
        paths={name: Path(name)},
        files={name: name},
    )
    hostile_text = "</table><script>alert(2)</script>"
    manifest = {"subject": hostile_text, "settings": {hostile_text: hostile_text}}
    material.sessions.append(Session(tmp_path / "<script>", manifest))
    (path,) = write_report(material, tmp_path / "r.html")
    parsed = Tables(path.read_text())
    assert "&lt;script&gt;alert(2)" in path.read_text()
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert all(a.get("src", "").startswith("data:") for t, a in parsed.tags if t == "img")
    assert not any(k.startswith("on") for _, a in parsed.tags for k in a)
    assert f"scores/{name}/x_hat" in parsed.found


def test_what_cannot_be_drawn_is_named_with_the_reason(
    tmp_path, session, write_bag, unseen, capsys
):
    unlabelled = replace(unseen, x_d=None, periods=[], source=str(tmp_path / "bare"))
    material = Material()
    material.models["kalman"] = load_model(session.path / "models" / "kalman.emgmodel")
    material.recordings["bare"] = unlabelled
    material.paths["bare"] = tmp_path / "bare"
    material.files[unlabelled.source] = "bare"
    (path,) = write_report(material, tmp_path / "r.html")
    text = path.read_text()
    assert "Left out" in text
    assert "no model decodes it, and it holds no recorded estimate" in text
    assert "signal_" in text or "Signal quality" in text


def test_model_alone_shows_its_scores_from_training(session, tmp_path, collected, capsys):
    from emghand.evaluate.crossval import leave_one_repetition_out
    from emghand.signal.settings import FeatureSettings
    from emghand.storage.models import save_model
    from emghand.training import TrainSettings, dataset_from_recording, fit, train

    dataset = dataset_from_recording(collected, FeatureSettings())
    settings = TrainSettings("ridge")
    validation = leave_one_repetition_out(dataset, lambda part: fit(part, settings))
    scores = {"uncompensated": validation.uncompensated.as_dict()}
    save_model(train(dataset, settings, scores=scores), tmp_path / "m.emgmodel")
    out = tmp_path / "m.html"
    assert main(["report", str(tmp_path / "m.emgmodel"), "--output", str(out)]) == 0
    table = Tables(out.read_text()).found["scores/m, cross-validated/x_hat"]
    assert table["index_flex"]["RMSE"] == scores["uncompensated"]["rmse"]["index_flex"]


def test_gather_takes_named_models_instead_of_those_of_the_session(session):
    both = gather([session.path])
    assert set(both.results) == {"kalman", "ridge"}
    one = gather([session.path, session.path / "models" / "ridge.emgmodel"])
    assert set(one.results) == {"ridge"}
    result = both.results["kalman"]
    path = session.path.parent / "kalman.json"
    result.save(path)
    read = gather([path])
    assert read.results["kalman"].to_json() == result.to_json()
    assert not read.recordings


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["report", "nowhere", "--output", "OUT.html"], "does not exist"),
        (["report", "SESSION", "--output", "OUT.pdf"], "name the report .html"),
        (["report", "SESSION", "--output", "OUT.html", "--formats", "gif"], "is no format"),
        (["plot", "scores", "SESSION", "--output", "OUT.gif"], "name the figure .png"),
        (["plot", "scores", "SESSION", "--output", "HERE.png"], "exists already"),
        (["plot", "scores", "SESSION", "--output", "OUT.png", "--metric", "x"], "metric 'x'"),
        (["plot", "latency", "SESSION", "--output", "OUT.png"], "holds no /decoder/timing"),
        (["plot", "scores", "SESSION", "--label", "no", "--output", "OUT.png"], "no scores"),
        (["plot", "tracking", "SESSION", "--start", "900", "--output", "OUT.png"], "nothing to"),
    ],
)
def test_mistakes_are_one_line_and_no_traceback(session, tmp_path, capsys, argv, text):
    here = tmp_path / "HERE.png"
    here.write_bytes(b"")
    words = {"SESSION": str(session.path), "HERE.png": str(here)}
    assert main([words.get(a, a.replace("OUT", str(tmp_path / "out"))) for a in argv]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert text in error


@pytest.mark.parametrize("command", [["--help"], ["plot", "--help"], ["report", "--help"]])
def test_help_loads_nothing_heavy(command):
    code = (
        "import sys\n"
        "from emghand.cli.main import main\n"
        f"try:\n    main({command})\n"
        "except SystemExit:\n    pass\n"
        "sys.exit(str({'matplotlib', 'numpy', 'scipy'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage:")


def test_without_matplotlib_the_user_is_told_what_to_install(
    session, tmp_path, monkeypatch, capsys
):
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    for command in (["plot", "signal"], ["report"]):
        out = str(tmp_path / ("x.html" if command == ["report"] else "x.png"))
        assert main([*command, str(session.path), "--output", out]) == 1
        assert "pip install matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (-0.5, "−0.500"),
        (1e-42, "0.000"),
        (0.00123, "0.0012"),
        (1234567, "1 234 567"),
    ],
)
def test_numbers_are_shown_short(value, text):
    assert shown(value).replace("\u202f", " ") == text


def test_empty_sections_are_left_out():
    text = page("t", "s", [Section("nothing"), Section("table", tables=[Table("c", ("a",), [])])])
    assert "nothing" not in text
    assert "<h2>table</h2>" in text
