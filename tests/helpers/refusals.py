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


def faults_of(parse, document):
    """Return the faults for which a document is refused, none where it is taken."""
    try:
        parse(document)
    except UserError as refusal:
        return [str(fault) for fault in getattr(refusal, "faults", [refusal])]
    return []


def not_refused(parse, table):
    """Return the rows (document, words) of which no fault says the words, with what is said, which
    must be short and printable."""
    found = [(words, faults_of(parse, document)) for document, words in table]
    return [
        (words, faults)
        for words, faults in found
        if not any(words in fault for fault in faults) or len(str(faults).encode()) > 3000
    ]
