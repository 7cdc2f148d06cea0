"""The fields of a model with their paths."""

from pydantic import BaseModel


def leaves(model, prefix=""):
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        arguments = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = next((a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if inner:
            yield from leaves(inner, f"{path}.")
        if not inner or {float, str} & set(arguments):  # a limit is a number, or a group that names the source of the number
            yield path
