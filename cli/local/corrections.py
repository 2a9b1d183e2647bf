"""Patches the emulator where it differs from AWS and the functions or their policies notice.

The one rule: a patch makes the emulator do what AWS documents. The template and the functions do not know about
it. Each patch replaces one function of the emulator, whose version is pinned, or adds what it lacks.
"""

from ministack import app
from ministack.core import iam_actions
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners


def apply() -> None:
    treat_loopback_as_tls()
    allow_batches_with_the_single_action()
    allow_reading_concurrency()
    retry_stream_records_that_are_reported()
    filter_on_fields_that_are_missing()
    read_concurrency_as_a_number()
    accept_alarms_on_metric_math()
    accept_gradual_deployments()


def treat_loopback_as_tls() -> None:
    """The queues' policies refuse plain http. The emulator treats http on this machine as TLS, and the policies stay on."""
    pin_origin = app.pin_request_origin
    app.pin_request_origin = lambda address, _secure: pin_origin(address, True)


def allow_batches_with_the_single_action() -> None:
    """On AWS, `sqs:SendMessage` also allows `SendMessageBatch`. The emulator asks for actions that AWS does not have."""
    action_of = iam_actions.extract_iam_action

    def corrected(*arguments, **named):
        action = action_of(*arguments, **named)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    iam_actions.extract_iam_action = corrected


def allow_reading_concurrency() -> None:
    """The emulator asks for the permission to write a function's concurrency also when it is read."""
    action_of = iam_actions.extract_iam_action

    def corrected(service, method, *arguments, **named):
        action = action_of(service, method, *arguments, **named)
        reads = action == "lambda:PutFunctionConcurrency" and method == "GET"
        return "lambda:GetFunctionConcurrency" if reads else action

    iam_actions.extract_iam_action = corrected


def retry_stream_records_that_are_reported() -> None:
    """The emulator drops stream records that a function reports as failed. With this patch the whole batch fails
    and is retried after a second. AWS retries from the lowest failed record."""
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
    """On AWS a missing field matches `exists: false` and no other rule, even if its parent is missing too. In the
    emulator a missing field matches `anything-but`, and a field without a parent matches nothing."""
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
    """The emulator keeps a number from a template parameter as text. Its SQS poller fails on it, and so do clients that
    list the mappings."""
    concurrency_of = lambda_svc._sqs_esm_concurrency
    response_of = lambda_svc._esm_response

    def corrected(mapping):
        scaling = mapping.get("ScalingConfig")
        if not scaling:
            return mapping
        return mapping | {"ScalingConfig": {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}}

    lambda_svc._sqs_esm_concurrency = lambda mapping, *arguments: concurrency_of(corrected(mapping), *arguments)
    lambda_svc._esm_response = lambda mapping: response_of(corrected(mapping))


def accept_alarms_on_metric_math() -> None:
    """The emulator refuses a template's alarm on an expression. With this patch it keeps the alarm with its expression.
    It computes no expression, so the alarm's state changes only by `SetAlarmState`."""
    record_of = provisioners._cw_metric_alarm_record

    def corrected(name, properties):
        metrics = properties.get("Metrics")
        if not metrics:
            return record_of(name, properties)
        single = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = record_of(name, single | {"Namespace": "-", "MetricName": "-"})
        # DescribeAlarms has no value for the fields of a single metric.
        for field in ("Namespace", "MetricName", "Statistic", "Period"):
            del alarm[field]
        return alarm | {"Metrics": metrics}

    provisioners._cw_metric_alarm_record = corrected


def accept_gradual_deployments() -> None:
    """The emulator does not know CodeDeploy. With this patch it accepts the two resources that SAM makes for gradual
    deployments, and an alias moves to a new version at once."""

    def create(logical_id, _properties, stack_name):
        return f"{stack_name}-{logical_id}", {}

    def delete(_physical_id, _properties):
        pass

    for kind in ("Application", "DeploymentGroup"):
        provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = {"create": create, "delete": delete}
