"""The examples in the docstrings of the public metric functions: each has one, and they come out as printed.

Collected from here, one test a function, so that a function without an example fails. `--doctest-modules` would also
import every helper among the tests.
"""

from __future__ import annotations

import doctest
import inspect
import sys

import pytest

from rankscope import metrics

FUNCTIONS = {
    name: function for name in metrics.__all__ if inspect.isroutine(function := inspect.unwrap(getattr(metrics, name)))
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_metric_comes_out_as_printed(name: str) -> None:
    function = FUNCTIONS[name]
    names = dict(vars(sys.modules[function.__module__]))
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs=names)
    assert example.examples, f"{name} has no example in its docstring"
    said: list[str] = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert not said, "".join(said)


def test_all_public_functions_are_looked_at() -> None:
    assert {"effective_rank", "linear_cka", "modality_integration_rate", "measure", "noise_value"} <= set(FUNCTIONS)
