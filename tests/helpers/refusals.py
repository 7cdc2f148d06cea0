"""Refusals as values, so that a table of cases tells all that differ at once; and single ones."""

import pytest

from alerting.definitions.faults import UserError


def assert_refused(words, call, *arguments, fault=UserError, **options):
    """Expect that a call is refused, with words that match where there are some."""
    with pytest.raises(fault, match=words or None):
        call(*arguments, **options)


def refusal_of(act, *given, **named):
    """Return the words with which a call is refused, none where it is not."""
    try:
        act(*given, **named)
    except UserError as refused:
        return str(refused)
    return ""


def lacking(found, words):
    """Return the texts that were found without the words expected of each."""
    return {case: found[case] for case, said in words.items() if said not in found[case]}
