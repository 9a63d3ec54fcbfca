"""Section of a report that says what everything was made from: settings, hashes, versions."""

from __future__ import annotations

import json
from typing import Any

from emghand.report.html import Cell, Section, Table
from emghand.report.sources import Material, plain
from emghand.version import code_version


def provenance_section(material: Material) -> Section:
    """Settings and hashes of all sources, and the version of the code."""
    section = Section("Settings, hashes and versions")
    tables = section.tables
    for name, recording in material.recordings.items():
        tables.append(
            _facts(
                f"Recording {name}", {"read from": recording.source, "SHA-256": recording.digest}
            )
        )
    for session in material.sessions:
        facts = {k: session.manifest.get(k, "") for k in ("subject", "created", "code_version")}
        facts |= {"settings": session.manifest.get("settings", {})}
        tables.append(_facts(f"Session {plain(session.path.resolve().name)}", facts))
    for name, model in material.models.items():
        facts = {
            "model_id": model.model_id,
            "training data": model.training_hash,
            "decoder": {model.decoder.kind: model.decoder.get_params()},
            "features": vars(model.features),
            "output": vars(model.output),
            "lag_s": model.lag_s,
            "created": model.created,
            "code_version": model.code_version,
        }
        tables.append(_facts(f"Model {name}", facts))
    for name, result in material.results.items():
        facts = {
            "digest": result.digest,
            "kind": result.kind,
            "scheme": result.scheme,
            "seed": result.seed,
            "model_id": result.model_id,
            "code_version": result.code_version,
            "refused ticks": dict(result.faults),
            "settings": result.settings,
            "scored on": {s.name: s.digest for s in result.sources},
        }
        tables.append(_facts(f"Result {name}", facts))
    section.tables.append(_facts("This report", {"code_version": code_version()}))
    return section


def _facts(caption: str, facts: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for key, value in facts.items():
        if isinstance(value, dict) and all(isinstance(k, str) for k in value):
            rows += [[f"{key}: {k}", _text(v)] for k, v in value.items()]
        else:
            rows.append([key, _text(value)])
    return Table(caption, ("", "value"), [r for r in rows if r[1] != ""], folded=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
