"""Sections of a report about the progress of the subject, where a session lies in a study."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from emghand.errors import UserError
from emghand.progress.folder import FOLDER, find_study
from emghand.report.html import Section
from emghand.report.sources import Material, plain, slug


def progress_sections(material: Material) -> list[Section]:
    """Sections of every subject whose session is reported, from the tables of the study.

    The tables are taken as they are. What cannot be read or drawn is noted in `material`.
    """
    sections: list[Section] = []
    done = set()
    for session in material.sessions:
        study = find_study(session.path.resolve().parent)
        if study is None or (study, session.subject) in done:
            continue
        done.add((study, session.subject))
        try:
            sections += _of(material, study / FOLDER, session.subject)
        except UserError as error:
            material.leave_out(f"progress of {plain(session.subject)}", error)
    return sections


def _of(material: Material, folder: Path, subject: str) -> list[Section]:
    from emghand.progress.extras import need

    need("pandas", "progress", "the progress of a subject")
    from emghand.progress.page import subject_sections
    from emghand.progress.tables import read_tables

    found = read_tables(folder, subject)
    title = f"Progress of {plain(subject)}"
    *sections, left_out = subject_sections(found.dates, found.sessions, found.trials)
    for text in left_out.text:
        what, _, why = text.partition(": ")
        material.leave_out(f"{title}, {what}", UserError(why))
    for section in sections:
        section.title = f"{title}: {section.title[0].lower()}{section.title[1:]}"
        section.pictures = [
            dataclasses.replace(p, name=f"progress_{slug(subject)}_{p.name}")
            for p in section.pictures
        ]
    known = set(found.sessions["session_id"])
    late = [
        plain(s.path.name)
        for s in material.sessions
        if s.subject == subject and s.manifest["id"] not in known
    ]
    if late:
        sections[0].warnings.append(
            f"{', '.join(late)}: not in the tables of the study yet; run emghand progress {subject}"
        )
    return sections
