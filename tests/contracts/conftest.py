import pytest

pytest.register_assert_rewrite("archip.testing")
