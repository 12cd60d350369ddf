"""Text of a new scenario file for `mischance init`: a commented starter, or a copy of a library scenario."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mischance.errors import MischanceError
from mischance.language import catalog
from mischance.language.loading import locate

STARTER = "starter"  # the tag of the library's commented scenario for beginners


def starter_text(source: str | None = None) -> str:
    """Return the text of a new scenario file; its first line names the schema, for completion in editors.

    Args:
        source: a scenario of the library to copy, or None for the commented starter. A variant
            (`driving/cut_in:crash`) becomes a short file that extends its scenario.

    Raises:
        MischanceError: there is no such scenario, or the library has no starter.
    """
    schema_line = f"# yaml-language-server: $schema={schema_path()}\n"
    path, variant = locate(source) if source is not None else (None, None)
    if source is None or path is None:
        return schema_line + re.sub(r"^name: \S+", "name: my/first", _text(_starter()), flags=re.MULTILINE)
    if variant:
        return schema_line + _variant_text(path, source.rpartition(":")[0], variant)
    return schema_line + _text(path)


def _text(path: Path) -> str:
    """Return a scenario file without the line that names its schema."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("# yaml-language-server:"))


def _starter() -> Path:
    files = catalog.scenario_files()
    for entry in catalog.entries("scenarios"):
        if STARTER in entry.tags:
            return files[entry.name]
    raise MischanceError(f"the library has no scenario with the tag {STARTER!r}", "copy one: `mischance init --from …`")


def _variant_text(path: Path, name: str, variant: str) -> str:
    from mischance.language.variants import apply_changes, variant_changes
    from mischance.language.yaml.document import dump, read

    tree = read(path.read_bytes(), str(path)).tree
    short: dict[str, Any] = {
        "mischance": 1,
        "name": f"my/{name.rsplit('/', maxsplit=1)[-1]}_{variant}",
        "extends": name,
    }
    header = (
        f"# The variant `{variant}` of {name}: what does not stand here is taken from there.\n"
        "# Check it with `mischance validate FILE`, play it with `mischance run FILE --out DIR`."
    )
    return dump(apply_changes(short, tree, variant_changes(tree, variant, str(path))), header)


def schema_path() -> str:
    """Return the URI of the installed schema, for the first line of a scenario file."""
    return (Path(__file__).parent / "scenario.schema.json").as_uri()
