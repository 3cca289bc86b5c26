"""One test method per case, so that each case has a name, a time and a result of its own."""


def for_each(**cases):
    """Mark a test that takes one argument more: it becomes one test per case, named after it."""

    def mark(test):
        test.cases = cases
        return test

    return mark


def expanded(test_case):
    """Class decorator that makes the tests which `for_each` asked for."""
    for name, test in list(vars(test_case).items()):
        if hasattr(test, "cases"):
            delattr(test_case, name)
            for label, value in test.cases.items():
                setattr(test_case, f"{name}_{label}", _bind(test, value))
    return test_case


def _bind(test, value):
    def run(self):
        test(self, value)

    run.__doc__ = test.__doc__
    return run


def named(*switches):
    """Cases out of switches: the name is the switch, with what a method name cannot hold replaced."""
    return {"".join(c if c.isalnum() else "_" for c in switch): (switch,) for switch in switches}


def themselves(*names):
    """Cases that are their own names."""
    return {name: name for name in names}
