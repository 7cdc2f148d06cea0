"""Addresses of all pages of the full plant."""

from tests.helpers.console.full_plant import names_of


def pages_of(line):
    names = names_of(line)
    hot = f"/definitions/{names.definitions[0]}"
    return [
        *(
            "/",
            "/suppressed",
            "/jump?text=hot",
            "/kpi",
            "/reports",
            "/plant",
            "/routes",
            "/platform",
            "/audit",
            "/access",
        ),
        *(
            "/account",
            "/import",
            "/sources",
            "/new-source",
            "/sinks",
            "/new-sink",
            f"/sinks/{line}-sink",
            f"/sinks/{line}-sink/edit",
            "/api?subject=definitions",
            f"/sources/{line}-source",
        ),
        *(f"/episodes/{id}" for id in (names.episodes[0], names.episodes[-1])),
        *(f"{hot}?tab={tab}" for tab in ("revisions", "document", "reports")),
        *("/definitions", hot, f"{hot}/edit", f"{hot}/edit?as=form", "/definitions/new"),
        *("/models", *(f"/models/{name}" for name in names.definitions)),
        *("/assets", f"/assets/{names.assets[1]}", f"/assets/{names.assets[1]}/edit"),
        *("/new-asset", f"/assets/{names.assets[1]}/edit?part=temperature"),
        *("/new-route", "/routes/all", "/routes/all/edit"),
        *("/mutes", f"/mutes/{names.mutes[0]}", f"/new-mute?part={names.assets[1]}"),
        f"/trends?asset={names.assets[1]}&variable=temperature&span=28d",
        *(f"/?asset={names.assets[1]}", f"/miss?asset={names.assets[1]}"),
        *("/handover", f"/handover?line={line}"),
        *("/help", "/help?q=mute", "/help/definition-reference", "/help/data-model"),
    ]
