# One page: runs, how long they take, what each table takes, and what failed. And the queries, ready in Logs Insights.

locals {
  metrics_on   = var.metrics_namespace != null
  search_space = local.metrics_on ? "{${join(",", concat([var.metrics_namespace], [for one in local.dimensions : "\"${split("=", one)[0]}\""]))}}" : ""
  search = { for metric, statistic in { seconds = "Maximum", rows = "Sum", failures = "Sum" } :
    metric => "SEARCH('${local.search_space} MetricName=\"${metric}\" deployment=\"${var.name}\"', '${statistic}', 3600)"
  }

  run_widgets = [
    {
      title  = "Runs"
      view   = "timeSeries"
      stat   = "Sum"
      period = 3600
      metrics = [for metric in ["Started", "Succeeded", "Failed", "TimedOut", "Aborted"] :
        ["AWS/States", "Executions${metric}", "StateMachineArn", aws_sfn_state_machine.nightly.arn]
      ]
    },
    {
      title   = "How long a run takes"
      view    = "timeSeries"
      stat    = "Maximum"
      period  = 3600
      metrics = [["AWS/States", "ExecutionTime", "StateMachineArn", aws_sfn_state_machine.nightly.arn]]
    },
  ]

  table_widgets = [for widget in [
    { title = "Seconds of each table", view = "timeSeries", metrics = [[{ expression = local.search.seconds, id = "seconds" }]] },
    { title = "Rows of each table", view = "timeSeries", metrics = [[{ expression = local.search.rows, id = "rows" }]] },
    { title = "Failed loads of each table", view = "timeSeries", metrics = [[{ expression = local.search.failures, id = "failures" }]] },
  ] : widget if local.metrics_on]

  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
  queue_widgets = [for rule in aws_cloudwatch_event_rule.blocked :
    {
      title   = "Jobs that could not start, and blocked a queue"
      view    = "timeSeries"
      stat    = "Sum"
      period  = 3600
      metrics = [["AWS/Events", "MatchedEvents", "RuleName", rule.name]]
    }
  ]

  metric_widgets = concat(local.run_widgets, local.queue_widgets, local.table_widgets)

  widgets = concat(
    [for index, widget in local.metric_widgets : {
      type       = "metric"
      x          = index % 2 * 12
      y          = floor(index / 2) * 6
      width      = 12
      height     = 6
      properties = merge(widget, { region = local.region })
    }],
    [{
      type   = "log"
      x      = 0
      y      = ceil(length(local.metric_widgets) / 2) * 6
      width  = 24
      height = 6
      properties = {
        title  = "What failed"
        region = local.region
        view   = "table"
        query  = "SOURCE '${local.job_log_group}' | filter event = \"table.failed\" or (event = \"run.finished\" and status not in [\"published\", \"staged\"]) | fields @timestamp, run_id, event, table, status, error | sort @timestamp desc | limit 50"
      }
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = local.widgets })
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = fileset("${local.definitions}/queries", "*.logs")

  name            = "${var.name}/${trimsuffix(each.value, ".logs")}"
  query_string    = trimspace(file("${local.definitions}/queries/${each.value}"))
  log_group_names = [local.job_log_group]
}
