"""Corrects the emulator where it differs from AWS in a way that the functions or their policies notice.

The one rule: a correction makes the emulator do what AWS documents, so that neither the template nor the
functions need to know it exists. Each replaces one function of the emulator, whose version is pinned.
"""

from ministack import app
from ministack.core import iam_actions
from ministack.services import lambda_svc


def apply() -> None:
    treat_loopback_as_tls()
    allow_batches_with_the_single_action()
    retry_stream_records_that_are_reported()
    filter_on_fields_that_are_missing()
    read_concurrency_as_a_number()


def treat_loopback_as_tls() -> None:
    """The queues' policies refuse plain http. Loopback stands in for TLS, so that they can stay in force."""
    pin_origin = app.pin_request_origin
    app.pin_request_origin = lambda address, _secure: pin_origin(address, True)


def allow_batches_with_the_single_action() -> None:
    """SQS has no actions for batches: whoever may send a message may send ten. The emulator invents some."""
    action_of = iam_actions.extract_iam_action

    def corrected(*arguments, **named):
        action = action_of(*arguments, **named)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    iam_actions.extract_iam_action = corrected


def retry_stream_records_that_are_reported() -> None:
    """The emulator drops the stream records that a function reports as failed. They make the whole batch fail
    here, which is retried after a second; AWS retries from the lowest failed record."""
    execute = lambda_svc._execute_function

    def corrected(function, event):
        result = execute(function, event)
        records = event.get("Records") if isinstance(event, dict) else None
        body = result.get("body")
        if records and records[0].get("eventSource") == "aws:dynamodb" and isinstance(body, dict):
            return result | {"error": result.get("error") or bool(body.get("batchItemFailures"))}
        return result

    lambda_svc._execute_function = corrected


def filter_on_fields_that_are_missing() -> None:
    """A field that is missing matches `exists: false`, also where what it would be in is missing too, and no
    other rule. In the emulator it matches `anything-but`, and inside of something missing nothing matches."""
    match = lambda_svc._match_esm_filter

    def corrected(record, pattern):
        for key, rule in pattern.items():
            value = record.get(key)
            if isinstance(rule, dict):
                matches = corrected(value if isinstance(value, dict) else {}, rule)
            elif key in record:
                matches = match({key: value}, {key: rule})
            else:
                matches = {"exists": False} in rule
            if not matches:
                return False
        return True

    lambda_svc._match_esm_filter = corrected


def read_concurrency_as_a_number() -> None:
    """A number that comes from a template parameter stays text in the emulator, and its SQS poller fails on it."""
    concurrency_of = lambda_svc._sqs_esm_concurrency

    def corrected(mapping, *arguments):
        scaling = mapping.get("ScalingConfig")
        if scaling:
            mapping = mapping | {"ScalingConfig": {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}}
        return concurrency_of(mapping, *arguments)

    lambda_svc._sqs_esm_concurrency = corrected
