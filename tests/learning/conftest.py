"""The dataset of the small line, for all tests of learning."""

import pytest

from tests import small_models


@pytest.fixture(scope="session")
def data():
    return small_models.dataset()
