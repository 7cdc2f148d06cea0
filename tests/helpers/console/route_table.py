"""The table of all routes of the console by the permission that each needs."""

from fastapi.routing import APIRoute

from alerting.operators.permissions import OF_THE_WHOLE_PLANT

API = "/api/v1"
TABLE = {
    "read": """
        GET ~/openapi.json,
        HEAD ~/openapi.json,
        GET ~/episodes,
        GET ~/episodes/{id},
        GET ~/episodes/{id}/state,
        GET ~/definitions,
        GET ~/definitions/{name:without_colon},
        GET ~/definitions/{name}/revisions,
        GET ~/definitions/{name}/revisions/{number},
        GET ~/definitions/{name}/diff,
        POST ~/definitions/{name}/predict,
        GET ~/models,
        GET ~/definitions/{name}/models,
        GET ~/definitions/{name}/trainings,
        GET ~/platform-alerts,
        GET ~/shelves,
        GET ~/suppressions,
        GET ~/why,
        GET ~/reports,
        GET ~/reports/{id},
        GET ~/reports/{id}/metrics,
        GET ~/reports/{id}/tables/{table},
        GET ~/reports/{id}/tables/{table}/csv,
        GET ~/misses,
        GET ~/predict-jobs,
        GET ~/predict-jobs/{id},
        GET ~/predict-jobs/{id}/scores,
        GET ~/kpi,
        GET ~/sources,
        GET ~/assets,
        GET ~/assets/{asset}/variables,
        GET ~/series,
        GET ~/events,
        GET ~/statistics,
        GET ~/labels,
        GET ~/occurrences,
        GET /trends,
        GET /trends/alarms,
        GET /trends/scatter,
        GET /scripts/{name},
        GET /,
        GET /episodes/{id},
        GET /suppressed,
        GET /models,
        GET /models/{name},
        GET /reports,
        GET /reports/{id},
        GET /kpi,
        GET /sources,
        GET /account,
        GET /definitions,
        GET /definitions/{name},
        POST /account/password,
        POST /account/pin,
        POST /account/pin/remove,
        POST /account/preferences,
        POST /account/sessions/{key}/end,
        POST /logout""",
    "operate": """
        POST ~/episodes/{id}/feedback,
        POST ~/episodes/{id}/ack,
        POST ~/episodes/{id}/close,
        POST ~/episodes/{id}/confirm,
        POST ~/episodes/{id}/comment,
        POST ~/episodes/{id}/assign,
        POST ~/shelves,
        POST ~/shelves/{id}/end,
        POST ~/misses,
        POST /episodes/{id}/feedback,
        POST /episodes/{id}/ack,
        POST /episodes/{id}/close,
        POST /episodes/{id}/shelve,
        POST /acknowledge,
        POST /shelves/{id}/end,
        POST /misses""",
    "configure": """
        POST ~/definitions/{name}/predict-jobs,
        POST ~/predict-jobs/{id}/cancel,
        POST ~/definitions:check,
        PUT ~/definitions/{name:without_colon},
        POST ~/definitions/{name}:retire,
        POST ~/definitions/{name}:activate,
        POST ~/definitions/{name}:restore,
        POST ~/definitions:preview,
        POST ~/labels,
        POST ~/labels/{id}:undo,
        POST /trends/labels,
        POST /trends/labels/{id}/undo,
        GET ~/previews/{id},
        DELETE ~/previews/{id},
        POST ~/definitions/{name}/models:approve,
        POST ~/definitions/{name}/models:reject,
        POST ~/definitions/{name}/models:rollback,
        POST ~/definitions/{name}/trainings,
        POST ~/definitions/{name}/trainings:cancel,
        GET /models/{name}/{act},
        POST /models/{name}/{act},
        POST ~/imports,
        GET ~/imports,
        GET ~/imports/{id:without_colon},
        POST ~/imports/{id}:check,
        POST ~/imports/{id}:write,
        DELETE ~/imports/{id:without_colon},
        GET ~/imports/{id}/rejects,
        GET /import,
        POST /import,
        GET /import/{id},
        POST /import/{id}/check,
        POST /import/{id}/write,
        POST /import/{id}/delete,
        GET /definitions/new,
        POST /definitions/new,
        GET /definitions/{name}/edit,
        POST /definitions/{name}/edit,
        GET /previews/{id},
        POST /definitions/{name}/retire,
        POST /definitions/{name}/activate,
        POST /definitions/{name}/restore""",
    "read of the whole plant": "GET ~/routes, GET /metrics, GET /routes, GET /platform",
    "configure of the whole plant": """
        POST ~/routes/{name}/test,
        POST ~/dead-letters/retry,
        GET ~/audit,
        GET /audit,
        GET /audit.csv,
        POST /routes/{name}/test,
        POST /dead-letters/retry,
        POST /platform/sources/{name}/retry,
        POST ~/sources:check,
        POST ~/sources:test,
        GET ~/sources/{name:without_colon},
        PUT ~/sources/{name:without_colon},
        POST ~/sources/{name}:pause,
        POST ~/sources/{name}:resume,
        POST ~/sources/{name}:retire,
        POST ~/sources/{name}:test,
        GET ~/sources/{name}/dead-messages,
        POST ~/sources/{name}/dead-messages:retry,
        GET /new-source,
        POST /new-source,
        GET /sources/{name},
        POST /sources/{name},
        POST /sources/{name}/look,
        POST /sources/{name}/retry,
        POST /sources/{name}/state""",
    "send": "POST ~/readings, POST ~/events",
    "administer": """
        GET ~/tokens,
        POST ~/tokens,
        DELETE ~/tokens/{id},
        GET /access,
        POST /access/people,
        POST /access/people/{name},
        POST /access/scope,
        POST /access/tokens,
        POST /access/tokens/{key}/revoke,
        POST /access/sessions/{key}/end""",
    None: """
        GET ~/health,
        GET /style.css,
        GET /login,
        POST /login,
        POST /language,
        GET /f/{token},
        POST /f/{token},
        GET /password/{code},
        POST /password/{code},
        POST /password/{code}/pin,
        GET /login/directory,
        GET /login/directory/back,
        GET /login/directory/out,
        POST /login/directory/logout""",
}
"""The routes with each permission, `~` for the beginning of the API; None: open to everyone, or to
anyone who knows the address. A person with a scope has none of the whole plant."""
EXPECTED = {
    route.strip().replace("~", API): permission and permission.split()[0]
    for permission, text in TABLE.items()
    for route in text.split(",")
}
OF_THE_PLANT = {
    route.strip().replace("~", API)
    for permission, text in TABLE.items()
    for route in text.split(",")
    if permission is not None and ("whole plant" in permission or permission in OF_THE_WHOLE_PLANT)
}


def permission_of(route):
    def walk(dependant):
        yield getattr(dependant.call, "permission", None)
        for below in dependant.dependencies:
            yield from walk(below)

    return next((found for found in walk(route.dependant) if found), None)


def routes_of(app):
    return [route for route in app.routes if isinstance(route, APIRoute)]
