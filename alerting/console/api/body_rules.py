"""Rules across the fields of bodies, for the API's description; the models check them."""

from pydantic.config import JsonDict

_ACTED: JsonDict = {"required": ["acted"], "properties": {"acted": {"const": True}}}
FEEDBACK_RULES: JsonDict = {
    "allOf": [
        {
            "anyOf": [
                _ACTED,
                {
                    "properties": {
                        "action": {
                            "anyOf": [{"type": "null"}, {"type": "string", "pattern": r"^\s*$"}]
                        },
                        "acted_at": {"type": "null"},
                        "recommendation_taken": {"enum": [None, "no"]},
                    }
                },
            ]
        },
        {
            "anyOf": [
                _ACTED,
                {"required": ["verdict"], "properties": {"verdict": {"type": "string"}}},
                {
                    "required": ["comment"],
                    "properties": {"comment": {"type": "string", "pattern": r"\S"}},
                },
                {
                    "required": ["recommendation_taken"],
                    "properties": {"recommendation_taken": {"type": "string"}},
                },
            ]
        },
    ]
}

MUTE_ENDS: JsonDict = {
    "anyOf": [
        {
            "required": ["until"],
            "properties": {"until": {"type": "string"}, "for": {"type": "null"}},
        },
        {"required": ["for"], "properties": {"until": {"type": "null"}, "for": {"type": "string"}}},
        {
            "required": ["until_event"],
            "properties": {
                "until": {"type": "null"},
                "for": {"type": "null"},
                "until_event": {"type": "object"},
            },
        },
        {
            "required": ["kind"],
            "properties": {
                "kind": {"const": "out_of_service"},
                "until": {"type": "null"},
                "for": {"type": "null"},
            },
        },
    ]
}
