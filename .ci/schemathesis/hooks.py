"""Mends what a JSON Schema cannot say about a valid request.

The one rule: a request that is wrong on purpose stays as it is.
"""

import schemathesis

# A name that never resolves (RFC 6761): nothing leaves this machine.
URL = "https://hooks.invalid/"


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict):
        mend_body(case.body)
    if isinstance(case.query, dict):
        # A cursor is not any text, but a `next_cursor`.
        case.query.pop("cursor", None)
        order_times(case.query)


def mend_body(body):
    # The host of a URL must be a name or a public address. The length stays: it may be the maximum.
    if isinstance(body.get("url"), str):
        body["url"] = URL.ljust(len(body["url"]), "x")
    order_times(body)


def order_times(fields):
    """`since` must not be later than `until`; both are UTC here, so their text has their order."""
    times = [fields[name] for name in ("since", "until") if isinstance(fields.get(name), str)]
    if len(times) == 2:
        fields["since"], fields["until"] = sorted(times)
    elif isinstance(fields.get("since"), str):
        # Without `until`, that is now.
        fields["since"] = min(fields["since"], "2025-12-03T10:00:00Z")
