"""What tells people that something is wrong, and shows them what goes on."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.functions import Functions
from infra.stage import Stage
from infra.storage import Storage

_PERIOD = Duration.minutes(5)
NAMESPACE = "bulkqa"
"""The namespace of the functions' own metrics; their dimension `service` is the stack's name."""


class Monitoring(Construct):
    """Alarms, each of which names what to do, and a dashboard."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, storage: Storage, functions: Functions
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._topic = (
            None if stage.alarm_topic is None else sns.Topic.from_topic_arn(self, "Topic", stage.alarm_topic)
        )
        self.alarms = [
            self._alarm(
                f"{name.title().replace('-', '')}Errors",
                function.metric_errors(period=_PERIOD, statistic="Sum"),
                f"The function {name} failed: its log says why.",
            )
            for name, function in functions.all.items()
        ]
        throttles = [function.metric_throttles(period=_PERIOD) for function in functions.all.values()]
        refused = [self._own(name) for name in ("RefusedObjects", "RefusedParts", "UnknownRows")]
        left_over = [self._own(name) for name in ("PagesFailed", "PagesExpired", "PagesMissing")]
        table = storage.table
        throttled = [
            table.metric(name, period=_PERIOD, statistic="Sum")
            for name in ("ReadThrottleEvents", "WriteThrottleEvents")
        ]
        self.alarms += [
            self._alarm(
                "Throttles",
                _sum(throttles),
                "A function was not run at once: the account's limit of concurrent executions is reached.",
            ),
            self._alarm(
                "RefusedAnswers",
                _sum(refused),
                "Answers or pages, or parts, could not be read: the log of pre- or post-labeling lists them.",
            ),
            self._alarm(
                "PagesNotReviewed",
                _sum(left_over),
                "A labeling job ended and some pages have no label: `bulkqa job start` asks for them again.",
            ),
            self._alarm(
                "GateFailed",
                self._own("GateFailed"),
                "A job's report did not pass the gate it was launched with: verdict.json beside it says why.",
            ),
            self._alarm(
                "DeadLetters",
                functions.dead_letters.metric_approximate_number_of_messages_visible(
                    period=_PERIOD, statistic="Maximum"
                ),
                "An event was given up after several tries: it is in the dead-letter queue.",
            ),
            self._alarm(
                "TableThrottles",
                _sum(throttled),
                "The label table was asked more than it could do; what was refused is tried again.",
                most=100,
            ),
        ]
        self._dashboard(functions, throttles, throttled, refused)

    def _alarm(
        self, construct_id: str, metric: cloudwatch.IMetric, says: str, most: int = 0
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_name=f"{self._stage.stack_name}-{construct_id}",
            alarm_description=says,
            metric=metric,
            threshold=most,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._topic is not None:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm

    def _own(self, name: str) -> cloudwatch.Metric:
        """Return one of the functions' own metrics."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self._stage.stack_name},
            statistic="Sum",
            period=_PERIOD,
        )

    def _dashboard(
        self,
        functions: Functions,
        throttles: Sequence[cloudwatch.IMetric],
        throttled: Sequence[cloudwatch.IMetric],
        refused: Sequence[cloudwatch.IMetric],
    ) -> None:
        every = functions.all.values()
        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=self._stage.stack_name)
        dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=self.alarms, width=24, height=3),
        )
        graphs: list[tuple[str, Sequence[cloudwatch.IMetric]]] = [
            ("Votes", [self._own(name) for name in ("VotesCounted", "VotesAlreadyCounted", "Answers")]),
            ("Pages", [self._own(name) for name in ("Pages", "RefusedObjects", "ItemsLaunched")]),
            ("Refused", refused),
            ("Gates", [self._own(f"Gate{word}") for word in ("Passed", "Failed", "Undecided")]),
            ("Calls", [function.metric_invocations(period=_PERIOD) for function in every]),
            ("Errors", [function.metric_errors(period=_PERIOD) for function in every]),
            ("Duration", [function.metric_duration(period=_PERIOD, statistic="p95") for function in every]),
            ("Throttled functions", throttles),
            ("Throttled label table", throttled),
        ]
        for start in range(0, len(graphs), 2):
            dashboard.add_widgets(
                *(
                    cloudwatch.GraphWidget(title=title, left=list(metrics), width=12)
                    for title, metrics in graphs[start : start + 2]
                )
            )


def _sum(metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    """Return the sum of metrics, of which any may have no value."""
    names = {f"m{number}": metric for number, metric in enumerate(metrics)}
    expression = " + ".join(f"FILL({name}, 0)" for name in names)
    return cloudwatch.MathExpression(expression=expression, using_metrics=names, period=_PERIOD)
