"""Verbs that list what there is."""

from dataclasses import asdict

from edgetrain.cli_support import Answer, verb
from edgetrain.cli_tables import listing


@verb("edgetrain boards")
def boards() -> Answer:
    """List the boards."""
    from edgetrain.board import all_boards

    found = [
        {
            "name": board.name,
            "aliases": board.aliases,
            "description": board.description,
            "architecture": board.architecture,
            "core": board.core,
            "features": board.features,
            "silicon": board.silicon,
            "emulators": board.emulators,
            "toolchains": list(board.toolchain),
        }
        for board in all_boards()
    ]
    shown = ("name", "core", "emulators", "silicon", "description")
    return Answer({"boards": found}, listing(shown, found))


@verb("edgetrain ops")
def ops() -> Answer:
    """List the operations that programs are made of."""
    from edgetrain.compiler.ops import OPS

    found = [{"name": op.name, "meaning": op.summary} for op in OPS.values()]
    return Answer({"ops": found}, listing(("name", "meaning"), found))


@verb("edgetrain rules")
def rules() -> Answer:
    """List the learning rules, and the options that --set gives them."""
    from edgetrain.compiler.rules import RULES

    found = [
        {
            "name": rule.name,
            "meaning": rule.summary,
            "precisions": rule.precisions,
            "masks": rule.masks,
            "options": [asdict(option) for option in rule.options],
        }
        for rule in RULES.values()
    ]
    shown = [
        {**each, "options": [f"{o.name}={o.default:g}: {o.summary}" for o in rule.options]}
        for each, rule in zip(found, RULES.values(), strict=True)
    ]
    return Answer({"rules": found}, listing(("name", "meaning", "precisions", "options"), shown))


@verb("edgetrain workloads")
def workloads() -> Answer:
    """List the models that have a name.

    Of the reference networks mlp-SIZES-fp32 and -fp16 all sizes are there; some are listed.
    """
    from edgetrain.workloads import all_workloads

    found = [
        {"name": w.name, "phase": w.phase, "summary": w.summary, "model": w.model and str(w.model)}
        for w in all_workloads()
    ]
    return Answer({"workloads": found}, listing(("name", "phase", "summary", "model"), found))


@verb("edgetrain doctor")
def doctor() -> Answer:
    """Show which tools are here, and how to get the others."""
    from edgetrain.doctor import diagnose

    found = [asdict(tool) for tool in diagnose()]
    shown = ("name", "version", "purpose", "install")
    rows = [{**tool, "install": "" if tool["found"] else tool["install"]} for tool in found]
    for row in rows:
        row["version"] = row["version"] or ("found" if row["found"] else "missing")
    return Answer({"tools": found}, listing(shown, rows))
