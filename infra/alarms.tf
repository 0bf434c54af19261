# What should wake somebody. Each says what to do in its description.

resource "aws_cloudwatch_metric_alarm" "failed" {
  alarm_name          = "${var.name}-failed"
  alarm_description   = "A run failed, timed out or was aborted. The reporting side holds what it held. See docs/operations.md, \"A night failed\"."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = var.tags

  metric_query {
    id          = "failures"
    label       = "runs that failed"
    expression  = "FILL(failed, 0) + FILL(timed_out, 0) + FILL(aborted, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "ExecutionsFailed", timed_out = "ExecutionsTimedOut", aborted = "ExecutionsAborted" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        stat        = "Sum"
        period      = 300
        dimensions  = { StateMachineArn = aws_sfn_state_machine.nightly.arn }
      }
    }
  }
}

# A run that hangs, or never began, has no metric that says so: the deadline's machine looks, and fails.
resource "aws_cloudwatch_metric_alarm" "not_published" {
  count = local.is_scheduled ? 1 : 0

  alarm_name          = "${var.name}-not-published"
  alarm_description   = "No run was published ${var.published_by_minutes} minutes after its schedule: it hangs, failed, or never began. The newest execution of ${var.name}-deadline says which. See docs/operations.md, \"A night failed\"."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsFailed"
  dimensions          = { StateMachineArn = aws_sfn_state_machine.deadline[0].arn }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = var.tags
}

# The dead man's switch: no run began for so many hours. Step Functions sends nothing for an hour without a run, so the
# switch goes off when there is no data: from OK to INSUFFICIENT_DATA. A new alarm is in INSUFFICIENT_DATA, and an alarm acts
# on a change alone: at the first apply it is silent, whereas with "breaching" it went to ALARM before anybody had
# confirmed the mail, and stayed there. That the first night never began, says the deadline.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
resource "aws_cloudwatch_metric_alarm" "never_started" {
  count = local.is_scheduled ? 1 : 0

  alarm_name          = "${var.name}-never-started"
  alarm_description   = "No run began for ${var.never_started_hours} hours. Look at the schedule ${var.name}, at the queue ${aws_sqs_queue.undelivered.name}, and at the function ${module.starter[0].name}."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsStarted"
  dimensions          = { StateMachineArn = aws_sfn_state_machine.nightly.arn }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = var.never_started_hours
  datapoints_to_alarm = var.never_started_hours
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "missing"
  alarm_actions       = [local.topic_arn]
  tags                = var.tags

  insufficient_data_actions = [local.topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "slow" {
  alarm_name          = "${var.name}-slow"
  alarm_description   = "A run took longer than ${var.slow_minutes} minutes. The dashboard ${var.name} shows which table; docs/operations.md what may be done."
  namespace           = "AWS/States"
  metric_name         = "ExecutionTime"
  dimensions          = { StateMachineArn = aws_sfn_state_machine.nightly.arn }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.slow_minutes * 60000
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  alarm_name          = "${var.name}-undelivered"
  alarm_description   = "The schedule could not call the starter, or an event of a failed run reached nobody; the message in the queue ${aws_sqs_queue.undelivered.name} says why."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = var.tags
}
